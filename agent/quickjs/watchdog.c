/*
 * The hardware watchdog (Linux, Documentation/watchdog/watchdog-api.rst), fed by a process of its own for as long as the agent
 * is well: it has told so lately, or waits inside the kernel (state D) for its disk, which may be away for hours and come back:
 * for files of its own, or for a program that it starts. An agent that hangs, is stopped or has ended is not fed for, and the
 * hardware restarts the machine.
 *
 * The process touches no disk. It ends by the magic close, which switches the hardware off, where the agent says so or the
 * system goes down (SIGTERM).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bw.h"

static volatile sig_atomic_t told_to_end;

static void on_end(int number) {
  (void)number;
  told_to_end = 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The state letter of a process (proc_pid_stat(5)), 0 where there is none. */
static char state_of(int proc, uint32_t pid) {
  char path[32], text[512];
  snprintf(path, sizeof path, "%u/stat", pid);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  /* The name before it may hold anything, brackets too. */
  const char *end = strrchr(text, ')');
  return end && end[1] == ' ' ? end[2] : 0;
}

static void feed(int device, const char *byte) {
  ssize_t put = write(device, byte, 1);
  (void)put;
}

/* Never returns. `pulses`: ids of the agent, 0 where it takes its leave. `proc`: found before the root was switched. */
static void feeder(int device, int pulses, int proc, int seconds) {
  struct sigaction action = {.sa_handler = on_end};
  sigset_t none;
  sigaction(SIGTERM, &action, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  uint32_t pid = 0, pulse;
  double heard = now();
  while (!told_to_end) {
    struct pollfd watched = {.fd = pulses, .events = POLLIN};
    if (poll(&watched, 1, seconds * 250) > 0) {
      ssize_t got = read(pulses, &pulse, sizeof pulse);
      /* The agent has ended without a word. */
      if (got == 0) _exit(1);
      if (got == sizeof pulse && pulse == 0) break;
      if (got == sizeof pulse) pid = pulse, heard = now();
    }
    if (now() - heard < seconds * 0.5 || state_of(proc, pid) == 'D') feed(device, "\0");
  }
  feed(device, "V");
  _exit(0);
}

/* watchdogStart(device, seconds): [where pulses go, seconds the hardware waits]. */
static JSValue watchdog_start(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t seconds;
  int pulses[2], device;
  if (JS_ToInt32(ctx, &seconds, argv[1])) return JS_EXCEPTION;
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  JSValue result = JS_EXCEPTION;
  if ((device = open(path, O_WRONLY | O_CLOEXEC)) < 0) {
    result = bw_fail(ctx, "open", path);
  } else {
    /* A driver rounds, or has one time alone. */
    if (ioctl(device, WDIOC_SETTIMEOUT, &seconds) < 0) ioctl(device, WDIOC_GETTIMEOUT, &seconds);
    pid_t child = pipe2(pulses, O_CLOEXEC | O_NONBLOCK) < 0 ? -1 : fork();
    if (child < 0) {
      result = bw_fail(ctx, "start feeder of", path);
      feed(device, "V");
    } else if (child == 0) {
      int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
      /* The agent's connections must end with the agent. */
      for (int fd = 3; fd < 1024; fd++)
        if (fd != device && fd != pulses[0] && fd != proc) close(fd);
      feeder(device, pulses[0], proc, seconds);
    } else {
      close(pulses[0]);
      result = JS_NewArray(ctx);
      JS_SetPropertyUint32(ctx, result, 0, JS_NewInt32(ctx, pulses[1]));
      JS_SetPropertyUint32(ctx, result, 1, JS_NewInt32(ctx, seconds));
    }
    close(device);
  }
  JS_FreeCString(ctx, path);
  return result;
}

/* watchdogPulse(fd, leave): the agent is well, or takes its leave: then the descriptor is closed. */
static JSValue watchdog_pulse(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  int leave = JS_ToBool(ctx, argv[1]);
  uint32_t pulse = leave ? 0 : (uint32_t)getpid();
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  ssize_t put = write(fd, &pulse, sizeof pulse);
  if (leave) close(fd);
  /* A full pipe has pulses enough. */
  if (put < 0 && errno != EAGAIN && !leave) return bw_fail(ctx, "feed", "watchdog");
  return JS_UNDEFINED;
}

const JSCFunctionListEntry bw_watchdog_calls[] = {
    JS_CFUNC_DEF("watchdogStart", 2, watchdog_start),
    JS_CFUNC_DEF("watchdogPulse", 2, watchdog_pulse),
};
const int bw_watchdog_call_count = BW_COUNT(bw_watchdog_calls);
