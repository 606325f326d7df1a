/* Stands in for the agent: loads the listed modules, mounts /dev/vda, hands over to the disk's init, asks the web
 * server for its page, prints what it got, and switches the machine off. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double uptime(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void load_modules(void) {
  char line[300];
  FILE *list = fopen("/etc/bootwright/modules", "r");
  while (list && fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = 0;
    int file = open(line, O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, file, "", 0)) printf("PROBE cannot load %s: %m\n", line);
    close(file);
  }
  printf("PROBE nbd device: %s\n", access("/dev/nbd0", F_OK) ? "absent" : "present");
}

static void ask(void) {
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  static const char request[] = "GET / HTTP/1.0\r\n\r\n";
  char answer[4096];
  int link = socket(AF_INET, SOCK_DGRAM, 0);
  ioctl(link, SIOCSIFFLAGS, &lo);
  for (int tries = 0; tries < 1000; tries++, usleep(10000)) {
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&to, sizeof to) == 0 && write(server, request, sizeof request - 1) > 0) {
      size_t length = 0;
      ssize_t count;
      while ((count = read(server, answer + length, sizeof answer - 1 - length)) > 0) length += count;
      answer[length] = 0;
      printf("PROBE answered at %.2f\n%s\nPROBE end\n", uptime(), answer);
      return;
    }
    close(server);
  }
  printf("PROBE no answer\n");
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("PROBE start at %.2f\n", uptime());
  mount("dev", "/dev", "devtmpfs", 0, "");
  load_modules();
  if (mount("/dev/vda", "/mnt", "ext4", 0, "")) printf("PROBE cannot mount: %m\n");
  printf("PROBE mounted at %.2f\n", uptime());
  mount("dev", "/mnt/dev", "devtmpfs", 0, "");
  mount("proc", "/mnt/proc", "proc", 0, "");
  if (fork() == 0) {
    ask();
    sync();
    reboot(RB_POWER_OFF);
  }
  chroot("/mnt");
  chdir("/");
  execl("/sbin/init", "init", NULL);
  printf("PROBE no init: %m\n");
}
