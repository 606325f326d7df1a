/* The compiled modules inside the executable, read when they are imported. bundle.ts lays them out. */
#include <string.h>

#include "bw.h"

extern const uint8_t bundle_start[];

/* Modules import each other as "./NAME.js". */
#define SUFFIX ".js"

/* The bytecode of a module: NAME, NUL, length (32 bits, little-endian, as both architectures are), bytes; behind the last an empty name. */
static JSValue read_module(JSContext *ctx, const char *name) {
  size_t length = strlen(name), suffix = sizeof SUFFIX - 1;
  if (length > suffix && !strcmp(name + length - suffix, SUFFIX)) length -= suffix;
  for (const uint8_t *at = bundle_start; *at;) {
    const char *each = (const char *)at;
    uint32_t size;
    at += strlen(each) + 1;
    memcpy(&size, at, sizeof size);
    at += sizeof size;
    if (strlen(each) == length && !memcmp(each, name, length))
      return JS_ReadObject(ctx, at, size, JS_READ_OBJ_BYTECODE);
    at += size;
  }
  return JS_ThrowReferenceError(ctx, "this program has no module %s", name);
}

JSModuleDef *bw_load_module(JSContext *ctx, const char *name, void *opaque) {
  (void)opaque;
  JSValue value = read_module(ctx, name);
  if (JS_IsException(value)) return NULL;
  JSModuleDef *module = JS_VALUE_GET_PTR(value);
  /* The context's list of modules has it. */
  JS_FreeValue(ctx, value);
  return module;
}

/* What a module exports, which waits for nothing, at once: for libraries that are read at their first use. */
static JSValue library(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *name = JS_ToCString(ctx, argv[0]);
  if (!name) return JS_EXCEPTION;
  JSValue value = read_module(ctx, name);
  JS_FreeCString(ctx, name);
  if (JS_IsException(value)) return JS_EXCEPTION;
  JSModuleDef *module = JS_VALUE_GET_PTR(value);
  if (JS_ResolveModule(ctx, value) < 0) return JS_FreeValue(ctx, value), JS_EXCEPTION;
  /* Who asked for it has the error. */
  bw_watch_rejections(JS_GetRuntime(ctx), 0);
  JSValue evaluated = JS_EvalFunction(ctx, value);
  bw_watch_rejections(JS_GetRuntime(ctx), 1);
  if (JS_IsException(evaluated)) return JS_EXCEPTION;
  int failed = JS_PromiseState(ctx, evaluated) != JS_PROMISE_FULFILLED;
  JSValue why = failed ? JS_PromiseResult(ctx, evaluated) : JS_UNDEFINED;
  JS_FreeValue(ctx, evaluated);
  return failed ? JS_Throw(ctx, why) : JS_GetModuleNamespace(ctx, module);
}

const JSCFunctionListEntry bw_module_calls[] = {
    JS_CFUNC_DEF("library", 1, library),
};
const int bw_module_call_count = BW_COUNT(bw_module_calls);
