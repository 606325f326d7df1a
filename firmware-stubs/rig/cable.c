/*
 * A serial cable for a node of the rig: what comes on standard input can be read at a pty, what is written there leaves on
 * standard output. The pty's name is the one line on standard error. Ends when standard input does.
 *
 * The pty stays while nodes come and go behind it, as a USB adapter does. While nobody has it open what the node says is
 * lost, as on a line without a listener: nobody gets to read old text when opening it, nor what another left unread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* A hung-up pty cannot be waited for (POLLHUP stays): it is looked at this often. */
#define LOOK_MS 10

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* The master of a new pty in raw mode; nobody has the other side open. */
static int open_pty(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) fail("cannot make a pty");
    const char *name = ptsname(master);
    int slave = name == NULL ? -1 : open(name, O_RDWR | O_NOCTTY);
    struct termios mode;
    if (slave < 0 || tcgetattr(slave, &mode) != 0) fail("cannot open the pty");
    cfmakeraw(&mode);
    if (tcsetattr(slave, TCSANOW, &mode) != 0) fail("cannot set the pty up");
    close(slave);
    if (fcntl(master, F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
    dprintf(STDERR_FILENO, "%s\n", name);
    return master;
}

/* Drops what was sent to whoever had the pty open and has not read it. */
static void drop_unread(int master) {
    const char *name = ptsname(master);
    int slave = name == NULL ? -1 : open(name, O_RDWR | O_NOCTTY);
    if (slave < 0) return;
    tcflush(slave, TCIFLUSH);
    close(slave);
}

static void write_out(const char *bytes, ssize_t length) {
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno != EINTR) exit(0);
        if (written > 0) bytes += written, length -= written;
    }
}

int main(void) {
    int master = open_pty();
    char in[4096], out[4096];
    /* Of `in`, what the pty has not taken yet. */
    ssize_t from = 0, to = 0;
    int was_open = 0;
    for (;;) {
        struct pollfd pty = {master, POLLIN, 0};
        int open = poll(&pty, 1, 0) < 0 || !(pty.revents & POLLHUP) || (pty.revents & POLLIN);
        if (!open) from = to;
        if (was_open && !open) drop_unread(master);
        was_open = open;

        struct pollfd both[] = {
            {STDIN_FILENO, from == to ? POLLIN : POLLRDHUP, 0},
            {open ? master : -1, from == to ? POLLIN : POLLIN | POLLOUT, 0},
        };
        if (poll(both, 2, open ? -1 : LOOK_MS) < 0 && errno != EINTR) fail("poll");
        if (both[0].revents != 0) {
            /* Nobody reads what was sent, and no more comes. */
            if (from < to) return 0;
            from = 0;
            to = read(STDIN_FILENO, in, sizeof in);
            if (to <= 0) return 0;
        }
        if (!open) continue;
        if (both[1].revents & POLLIN) {
            ssize_t length = read(master, out, sizeof out);
            if (length > 0) write_out(out, length);
        }
        if (from < to) {
            ssize_t written = write(master, in + from, to - from);
            if (written > 0) from += written;
        }
    }
}
