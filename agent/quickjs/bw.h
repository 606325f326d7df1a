/*
 * The module "bw": the operating-system calls under agent/quickjs/host.ts, one thin function a call.
 * Policy (order of calls, time limits, names of options) lives in TypeScript; bw.d.ts declares every function.
 */
#ifndef BW_H
#define BW_H

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

#define BW_COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

extern const JSCFunctionListEntry bw_module_calls[];
extern const int bw_module_call_count;
extern const JSCFunctionListEntry bw_file_calls[];
extern const int bw_file_call_count;
extern const JSCFunctionListEntry bw_aside_calls[];
extern const int bw_aside_call_count;
extern const JSCFunctionListEntry bw_watchdog_calls[];
extern const int bw_watchdog_call_count;
extern const JSCFunctionListEntry bw_system_calls[];
extern const int bw_system_call_count;
extern const JSCFunctionListEntry bw_network_calls[];
extern const int bw_network_call_count;
extern const JSCFunctionListEntry bw_interface_calls[];
extern const int bw_interface_call_count;
extern const JSCFunctionListEntry bw_process_calls[];
extern const int bw_process_call_count;
extern const JSCFunctionListEntry bw_tls_calls[];
extern const int bw_tls_call_count;

/* The arguments of the program, NULL-terminated, without its name. */
extern char **bw_arguments;

/* Makes the classes of what tls.c gives to JavaScript known; 0 where that was done. */
int bw_tls_classes(JSContext *ctx);

/* Declares the module "bw" in a context. */
JSModuleDef *bw_declare(JSContext *ctx);

/* Gives the engine a compiled module of this executable: JSModuleLoaderFunc. */
JSModuleDef *bw_load_module(JSContext *ctx, const char *name, void *opaque);

/* Whether a rejection that nobody handles is the end of the process. */
void bw_watch_rejections(JSRuntime *rt, int watched);

/* The function given to setLoop(): one turn of the event loop, false where nothing is left to wait for. */
JSValueConst bw_loop(void);

/* Throws the HostError of the current errno: "CALL SUBJECT: explanation". Always returns JS_EXCEPTION. */
JSValue bw_fail(JSContext *ctx, const char *call, const char *subject);

/* The bytes under a Uint8Array; NULL (and a pending exception) where `value` is none. */
uint8_t *bw_bytes(JSContext *ctx, JSValueConst value, size_t *length);

/* Takes every adapter but the loopback down, as far as it goes. */
void bw_lower_adapters(void);

/* reboot(2) with RB_AUTOBOOT or RB_POWER_OFF. Returns on failure alone, which errno tells. */
void bw_reboot(int how);

struct in_addr;
/* Reads an IPv4 address; nonzero (and a pending exception) where `value` is none. */
int bw_ipv4(JSContext *ctx, JSValueConst value, struct in_addr *address);

/* A NULL-terminated, malloc()ed copy of an array of strings; NULL (and a pending exception) on failure. */
char **bw_strings(JSContext *ctx, JSValueConst array);
void bw_free_strings(char **strings);

#endif
