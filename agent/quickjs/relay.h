/* A process between the kernel's block device and the imager, which answers reads from a pack: relay.c. */
#ifndef RELAY_H
#define RELAY_H

#include <stddef.h>
#include <stdint.h>

struct pack;

/*
 * Relays between two sockets until either side hangs up, or until the boot is over and the relay leaves: that is when
 * the pack answered nothing for `patience` seconds. Gives the exit code of the process.
 */
int relay_run(int kernel, int imager, double patience, const char *name, struct pack *pack);

/*
 * Starts the relay of a disk of `disk_size` bytes whose negotiated connection is `imager`, which stays open here too.
 * Gives the descriptor that is to be the kernel's, or -1 and the reason in words: no pack, a damaged one, no process.
 */
int relay_start(int imager, const char *name, const uint8_t *bytes, size_t length, uint64_t disk_size,
                const char **why);

#endif
