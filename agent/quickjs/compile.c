/* Runs where the agent is built: compiles the ES module NAME.js to QuickJS bytecode. Usage: compile NAME IN.js OUT.bin */
#include <stdio.h>
#include <stdlib.h>

#include "quickjs.h"

static int nothing(JSContext *ctx, JSModuleDef *module) {
  return 0;
}

/* Names resolve when the agent starts; here any import is taken as given. */
static JSModuleDef *any_module(JSContext *ctx, const char *name, void *opaque) {
  (void)opaque;
  return JS_NewCModule(ctx, name, nothing);
}

static char *read_all(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *text = malloc((size_t)size + 1);
  *length = text ? fread(text, 1, (size_t)size, file) : 0;
  if (text) text[*length] = 0;
  fclose(file);
  return text;
}

int main(int argc, char **argv) {
  size_t length, size;
  if (argc != 4) return fputs("usage: compile NAME IN.js OUT.bin\n", stderr), 2;
  char *text = read_all(argv[2], &length);
  if (!text) return perror(argv[2]), 1;
  char name[256];
  snprintf(name, sizeof name, "%s.js", argv[1]);
  JSRuntime *rt = JS_NewRuntime();
  /* Lines stay, for stacks; the text, which functions would show of themselves, is not needed. */
  JS_SetStripInfo(rt, JS_STRIP_SOURCE);
  JSContext *ctx = JS_NewContext(rt);
  JS_SetModuleLoaderFunc(rt, NULL, any_module, NULL);
  JSValue module = JS_Eval(ctx, text, length, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  if (JS_IsException(module)) {
    JSValue error = JS_GetException(ctx), stack = JS_GetPropertyStr(ctx, error, "stack");
    fprintf(stderr, "%s\n%s", JS_ToCString(ctx, error), JS_ToCString(ctx, stack));
    return 1;
  }
  uint8_t *bytes = JS_WriteObject(ctx, &size, module, JS_WRITE_OBJ_BYTECODE);
  FILE *out = fopen(argv[3], "wb");
  if (!bytes || !out || fwrite(bytes, 1, size, out) != size || fclose(out)) return perror(argv[3]), 1;
  return 0;
}
