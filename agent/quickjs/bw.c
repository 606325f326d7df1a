/* The module "bw" itself: registration, errors, text, and what the other files share. */
#include "bw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Set once by host.ts and loop.ts before anything can fail or wait. */
static JSValue error_class, loop_function;

JSValueConst bw_loop(void) { return loop_function; }

JSValue bw_fail(JSContext *ctx, const char *call, const char *subject) {
  int number = errno;
  const char *name = strerrorname_np(number);
  char message[512];
  snprintf(message, sizeof message, "%s %s: %s", call, subject, strerror(number));
  JSValue arguments[2] = {JS_NewString(ctx, name ? name : "EUNKNOWN"), JS_NewString(ctx, message)};
  JSValue error = JS_CallConstructor(ctx, error_class, 2, arguments);
  JS_FreeValue(ctx, arguments[0]);
  JS_FreeValue(ctx, arguments[1]);
  return JS_IsException(error) ? error : JS_Throw(ctx, error);
}

uint8_t *bw_bytes(JSContext *ctx, JSValueConst value, size_t *length) {
  size_t offset, view_length, element_size, size;
  JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, &view_length, &element_size);
  if (JS_IsException(buffer)) return NULL;
  uint8_t *bytes = JS_GetArrayBuffer(ctx, &size, buffer);
  JS_FreeValue(ctx, buffer);
  *length = view_length;
  /* An empty ArrayBuffer has no storage: any address will do for no bytes. */
  static uint8_t nothing;
  return bytes ? bytes + offset : view_length == 0 ? &nothing : NULL;
}

void bw_free_strings(char **strings) {
  if (!strings) return;
  for (char **each = strings; *each; each++) free(*each);
  free(strings);
}

char **bw_strings(JSContext *ctx, JSValueConst array) {
  int64_t count;
  JSValue length = JS_GetPropertyStr(ctx, array, "length");
  int bad = JS_ToInt64(ctx, &count, length);
  JS_FreeValue(ctx, length);
  if (bad) return NULL;
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (!strings) return JS_ThrowOutOfMemory(ctx), NULL;
  for (int64_t i = 0; i < count; i++) {
    JSValue item = JS_GetPropertyUint32(ctx, array, (uint32_t)i);
    const char *text = JS_ToCString(ctx, item);
    JS_FreeValue(ctx, item);
    if (text) strings[i] = strdup(text);
    JS_FreeCString(ctx, text);
    if (!strings[i]) return bw_free_strings(strings), NULL;
  }
  return strings;
}

static JSValue set_error_class(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  error_class = JS_DupValue(ctx, argv[0]);
  return JS_UNDEFINED;
}

static JSValue set_loop(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  loop_function = JS_DupValue(ctx, argv[0]);
  return JS_UNDEFINED;
}

static JSValue memory_usage(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  JSMemoryUsage usage;
  JS_RunGC(JS_GetRuntime(ctx));
  JS_ComputeMemoryUsage(JS_GetRuntime(ctx), &usage);
  JSValue result = JS_NewObject(ctx);
  JS_SetPropertyStr(ctx, result, "bytes", JS_NewInt64(ctx, usage.memory_used_size));
  JS_SetPropertyStr(ctx, result, "objects", JS_NewInt64(ctx, usage.obj_count));
  return result;
}

/* UTF-8 of a string; a lone surrogate becomes U+FFFD, as the Encoding Standard asks. */
static JSValue encode_utf8(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
  if (!text) return JS_EXCEPTION;
  JSValue buffer = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, length);
  JS_FreeCString(ctx, text);
  size_t size;
  uint8_t *bytes = JS_GetArrayBuffer(ctx, &size, buffer);
  /* QuickJS writes a lone surrogate as three bytes ED A0..BF xx; U+FFFD takes three bytes too. */
  for (size_t i = 0; bytes && i + 2 < size; i++)
    if (bytes[i] == 0xed && bytes[i + 1] >= 0xa0) memcpy(bytes + i, "\xef\xbf\xbd", 3);
  return buffer;
}

/* Length of the well-formed UTF-8 sequence at `at` (Unicode table 3-7), 0 where there is none. */
static size_t sequence_length(const uint8_t *at, size_t left) {
  uint8_t lead = at[0], low = 0x80, high = 0xbf;
  size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
    if (at[i] < low || at[i] > high) return 0;
  return length;
}

/* The string of well-formed UTF-8; undefined where the bytes are none. */
static JSValue decode_utf8(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t length;
  const uint8_t *bytes = bw_bytes(ctx, argv[0], &length);
  if (!bytes) return JS_EXCEPTION;
  for (size_t i = 0, step; i < length; i += step)
    if ((step = sequence_length(bytes + i, length - i)) == 0) return JS_UNDEFINED;
  return JS_NewStringLen(ctx, (const char *)bytes, length);
}

static const JSCFunctionListEntry base_calls[] = {
    JS_CFUNC_DEF("setErrorClass", 1, set_error_class),
    JS_CFUNC_DEF("setLoop", 1, set_loop),
    JS_CFUNC_DEF("memoryUsage", 0, memory_usage),
    JS_CFUNC_DEF("encodeUtf8", 1, encode_utf8),
    JS_CFUNC_DEF("decodeUtf8", 1, decode_utf8),
};

static int define(JSContext *ctx, JSModuleDef *module) {
  return JS_SetModuleExportList(ctx, module, base_calls, BW_COUNT(base_calls)) ||
         JS_SetModuleExportList(ctx, module, bw_module_calls, bw_module_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_file_calls, bw_file_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_aside_calls, bw_aside_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_watchdog_calls, bw_watchdog_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_system_calls, bw_system_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_network_calls, bw_network_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_interface_calls, bw_interface_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_process_calls, bw_process_call_count) ||
         JS_SetModuleExportList(ctx, module, bw_tls_calls, bw_tls_call_count);
}

JSModuleDef *bw_declare(JSContext *ctx) {
  JSModuleDef *module = JS_NewCModule(ctx, "bw", define);
  if (!module || bw_tls_classes(ctx)) return NULL;
  JS_AddModuleExportList(ctx, module, base_calls, BW_COUNT(base_calls));
  JS_AddModuleExportList(ctx, module, bw_module_calls, bw_module_call_count);
  JS_AddModuleExportList(ctx, module, bw_file_calls, bw_file_call_count);
  JS_AddModuleExportList(ctx, module, bw_aside_calls, bw_aside_call_count);
  JS_AddModuleExportList(ctx, module, bw_watchdog_calls, bw_watchdog_call_count);
  JS_AddModuleExportList(ctx, module, bw_system_calls, bw_system_call_count);
  JS_AddModuleExportList(ctx, module, bw_network_calls, bw_network_call_count);
  JS_AddModuleExportList(ctx, module, bw_interface_calls, bw_interface_call_count);
  JS_AddModuleExportList(ctx, module, bw_process_calls, bw_process_call_count);
  JS_AddModuleExportList(ctx, module, bw_tls_calls, bw_tls_call_count);
  return module;
}
