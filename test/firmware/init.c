/* The only program of the firmware tests' initramfs: says what the firmware handed over; may then start again. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static char text[4096];

static int show(const char *name, const char *path) {
  int file = open(path, O_RDONLY);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length < 0 ? 0 : length] = 0;
  text[strcspn(text, "\n")] = 0;
  printf("given %s=%s\n", name, text);
  return 1;
}

int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  mount("proc", "/proc", "proc", 0, 0);
  mount("sys", "/sys", "sysfs", 0, 0);
  show("uid", "/sys/class/dmi/id/product_uuid") || show("uid", "/sys/firmware/devicetree/base/serial-number");
  show("cmdline", "/proc/cmdline");
  if (strstr(text, "test.reboot")) reboot(RB_AUTOBOOT);
  for (;;) pause();
}
