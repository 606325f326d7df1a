/* Children of a service binding protocol (UEFI 2.10 section 11.6): one instance of a network protocol on one adapter. */
#ifndef BW_SERVICE_H
#define BW_SERVICE_H

#include <efi.h>

struct child {
  EFI_SERVICE_BINDING *service;
  EFI_HANDLE handle;
  /* The protocol's own interface. */
  VOID *protocol;
};

/* Makes an instance on the adapter with this handle. Gives 0 where it has no such protocol. */
int child_open(struct child *child, EFI_HANDLE adapter, EFI_GUID service, EFI_GUID protocol);

void child_close(struct child *child);

#endif
