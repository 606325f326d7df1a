/* Starting programs, collecting their ends, and giving process 1 away. SIGCHLD is read from a signalfd by the loop. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bw.h"

extern char **environ;

char **bw_arguments;

/* What a new program expects of its start: no blocked signals, SIGPIPE deadly. */
static void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
}

/*
 * As fork(), where the caller waits until the child runs another program or has ended. It waits in state D: the disk that
 * the program is on may be away for hours, and whoever feeds a watchdog sees that (watchdog.c).
 */
static pid_t fork_until_exec(void) { return (pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0); }

/* The child's side of spawn(): never returns. An errno in `report` says that the program did not start. */
static void become(char *const *arguments, char **environment, int output, int report) {
  setsid();
  reset_signals();
  if (output >= 0) {
    int input = open("/dev/null", O_RDONLY);
    if (input >= 0) dup2(input, STDIN_FILENO);
    else close(STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (input > STDERR_FILENO) close(input);
  }
  if (environment) environ = environment;
  /* The name after the first string; argv[0] may differ from the file ("@agent"). */
  execvp(arguments[0], (char *const *)arguments + 1);
  int number = errno;
  ssize_t ignored = write(report, &number, sizeof number);
  (void)ignored;
  _exit(127);
}

/*
 * spawn([file, argv0, ...], [name=value, ...], captured): starts a program in its own session and returns once it
 * runs: [pid, descriptor of its output (non-blocking), or -1]. Throws what exec said where it did not start.
 */
static JSValue spawn(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int captured = JS_ToBool(ctx, argv[2]), output[2] = {-1, -1}, report[2] = {-1, -1}, number = 0;
  JSValue result = JS_EXCEPTION;
  char **arguments = bw_strings(ctx, argv[0]), **environment = arguments ? bw_strings(ctx, argv[1]) : NULL;
  pid_t pid = -1;
  if (!environment) goto done;
  if (pipe2(report, O_CLOEXEC) < 0 || (captured && pipe2(output, O_CLOEXEC) < 0) || (pid = fork_until_exec()) < 0) {
    result = bw_fail(ctx, "start", arguments[0]);
    goto done;
  }
  if (pid == 0) become(arguments, environment, output[1], report[1]);
  close(report[1]);
  report[1] = -1;
  ssize_t got;
  do got = read(report[0], &number, sizeof number);
  while (got < 0 && errno == EINTR);
  if (got > 0) {
    waitpid(pid, NULL, 0);
    errno = number;
    result = bw_fail(ctx, "start", arguments[0]);
    goto done;
  }
  if (captured) fcntl(output[0], F_SETFL, O_NONBLOCK);
  result = JS_NewArray(ctx);
  JS_SetPropertyUint32(ctx, result, 0, JS_NewInt32(ctx, pid));
  JS_SetPropertyUint32(ctx, result, 1, JS_NewInt32(ctx, output[0]));
  output[0] = -1;
done:
  for (int i = 0; i < 2; i++) {
    if (output[i] >= 0) close(output[i]);
    if (report[i] >= 0) close(report[i]);
  }
  bw_free_strings(arguments);
  bw_free_strings(environment);
  return result;
}

/*
 * Process 1 becomes the program; the call returns in a new child that goes on with everything this process had.
 * Where the program cannot be executed, the call throws in the old process and the child is gone again.
 */
static JSValue hand_over(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int started[2];
  char **arguments = bw_strings(ctx, argv[0]);
  if (!arguments) return JS_EXCEPTION;
  JSValue result = JS_UNDEFINED;
  char nothing;
  pid_t child = -1;
  if (pipe2(started, O_CLOEXEC) < 0 || (child = fork()) < 0) {
    result = bw_fail(ctx, "hand over to", arguments[0]);
  } else if (child == 0) {
    /* End of file: the exec closed the last writing end. */
    close(started[1]);
    while (read(started[0], &nothing, 1) < 0 && errno == EINTR) continue;
    close(started[0]);
    setsid();
  } else {
    reset_signals();
    execv(arguments[0], arguments);
    result = bw_fail(ctx, "hand over to", arguments[0]);
    signal(SIGPIPE, SIG_IGN);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(started[0]);
    close(started[1]);
  }
  bw_free_strings(arguments);
  return result;
}

static JSValue child_signals(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  int fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? bw_fail(ctx, "signalfd", "SIGCHLD") : JS_NewInt32(ctx, fd);
}

/* SIGTERM and SIGINT are read from the descriptor from here on, and end nothing by themselves. */
static JSValue stop_signals(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigprocmask(SIG_BLOCK, &stop, NULL);
  int fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? bw_fail(ctx, "signalfd", "SIGTERM") : JS_NewInt32(ctx, fd);
}

/* One child that ended, [pid, exit code or 128 + signal], or null: also orphans that process 1 was given. */
static JSValue reap(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int status;
  pid_t pid = waitpid(-1, &status, WNOHANG);
  if (pid <= 0) return JS_NULL;
  JSValue result = JS_NewArray(ctx);
  JS_SetPropertyUint32(ctx, result, 0, JS_NewInt32(ctx, pid));
  JS_SetPropertyUint32(ctx, result, 1,
                       JS_NewInt32(ctx, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)));
  return result;
}

/* Ends a program and what it started in its session's process group. */
static JSValue kill_group(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t pid;
  if (JS_ToInt32(ctx, &pid, argv[0])) return JS_EXCEPTION;
  kill(-pid, SIGKILL);
  return JS_UNDEFINED;
}

static JSValue process_id(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  return JS_NewInt32(ctx, getpid());
}

static JSValue list_strings(JSContext *ctx, char **strings) {
  JSValue list = JS_NewArray(ctx);
  for (uint32_t i = 0; strings[i]; i++) JS_SetPropertyUint32(ctx, list, i, JS_NewString(ctx, strings[i]));
  return list;
}

static JSValue environment(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  return list_strings(ctx, environ);
}

static JSValue program_arguments(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  return list_strings(ctx, bw_arguments);
}

static JSValue exit_now(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t code;
  if (JS_ToInt32(ctx, &code, argv[0])) return JS_EXCEPTION;
  exit(code);
}

const JSCFunctionListEntry bw_process_calls[] = {
    JS_CFUNC_DEF("spawn", 3, spawn),
    JS_CFUNC_DEF("handOver", 1, hand_over),
    JS_CFUNC_DEF("childSignals", 0, child_signals),
    JS_CFUNC_DEF("stopSignals", 0, stop_signals),
    JS_CFUNC_DEF("reap", 0, reap),
    JS_CFUNC_DEF("killGroup", 1, kill_group),
    JS_CFUNC_DEF("processId", 0, process_id),
    JS_CFUNC_DEF("environment", 0, environment),
    JS_CFUNC_DEF("programArguments", 0, program_arguments),
    JS_CFUNC_DEF("exit", 1, exit_now),
};
const int bw_process_call_count = BW_COUNT(bw_process_calls);
