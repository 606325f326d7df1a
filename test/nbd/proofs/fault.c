/*
 * Preloaded into the server of the proofs: calls on files below disks/ fail with EIO while the file named by
 * BOOTWRIGHT_FAULT has their name in it (pread, pwrite, fdatasync).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int faulty(int fd, const char *call) {
    char link[64], path[4096], wish[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strstr(path, "/disks/") == NULL) return 0;
    const char *control = getenv("BOOTWRIGHT_FAULT");
    FILE *file = control == NULL ? NULL : fopen(control, "re");
    if (file == NULL) return 0;
    int found = fgets(wish, sizeof wish, file) != NULL && strstr(wish, call) != NULL;
    fclose(file);
    return found;
}

#define FAIL(call)          \
    if (faulty(fd, #call)) { \
        errno = EIO;        \
        return -1;          \
    }

#define POSITIONED(name, kind, buffer)                                           \
    ssize_t name(int fd, buffer bytes, size_t count, off_t offset) {             \
        static ssize_t (*real)(int, buffer, size_t, off_t);                      \
        FAIL(kind)                                                               \
        if (real == NULL) real = (ssize_t(*)(int, buffer, size_t, off_t))dlsym(RTLD_NEXT, #name); \
        return real(fd, bytes, count, offset);                                   \
    }

POSITIONED(pread, pread, void *)
POSITIONED(pread64, pread, void *)
POSITIONED(pwrite, pwrite, const void *)
POSITIONED(pwrite64, pwrite, const void *)

int fdatasync(int fd) {
    static int (*real)(int);
    FAIL(fdatasync)
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}
