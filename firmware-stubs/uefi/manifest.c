#include "manifest.h"

/* Copies a value where the line begins with `key`. Gives 0 where it has no room or is no printable text. */
static int take(const char *line, uint32_t length, const char *key, char *value, uint32_t size) {
  while (*key != 0) {
    if (length == 0 || *line != *key) return 1;
    line++, length--, key++;
  }
  if (length >= size) return 0;
  for (uint32_t i = 0; i < length; i++) {
    if (line[i] < ' ' || line[i] > '~') return 0;
    value[i] = line[i];
  }
  value[length] = 0;
  return 1;
}

/* A file beside the manifest: never a path, for what an imager says is not trusted. */
static int is_file_name(const char *name) {
  if (*name == 0 || *name == '.') return 0;
  for (; *name != 0; name++) {
    int letter = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');
    int digit = *name >= '0' && *name <= '9';
    if (!letter && !digit && *name != '.' && *name != '_' && *name != '-') return 0;
  }
  return 1;
}

int manifest_read(const char *text, uint32_t length, struct manifest *manifest) {
  manifest->kernel[0] = manifest->initrd[0] = manifest->args[0] = 0;
  for (uint32_t at = 0; at < length;) {
    uint32_t end = at;
    while (end < length && text[end] != '\n') end++;
    const char *line = text + at;
    if (!take(line, end - at, "bw_kernel=", manifest->kernel, MANIFEST_FILE)) return 0;
    if (!take(line, end - at, "bw_initrd=", manifest->initrd, MANIFEST_FILE)) return 0;
    if (!take(line, end - at, "bw_args=", manifest->args, MANIFEST_ARGS)) return 0;
    at = end + 1;
  }
  return is_file_name(manifest->kernel) && is_file_name(manifest->initrd);
}
