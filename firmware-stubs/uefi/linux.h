/* Starting a Linux kernel that is itself a UEFI program (Documentation/admin-guide/efi-stub.rst). */
#ifndef BW_LINUX_H
#define BW_LINUX_H

#include "fetch.h"

/*
 * Starts the kernel with `arguments` as its command line; it asks for the initrd by LINUX_EFI_INITRD_MEDIA_GUID. Comes back
 * only where it did not start, with why in words.
 */
const char *linux_start(EFI_HANDLE image, const struct file *kernel, struct file *initrd, const char *arguments);

#endif
