#include "service.h"

#include <efilib.h>

int child_open(struct child *child, EFI_HANDLE adapter, EFI_GUID service, EFI_GUID protocol) {
  child->handle = NULL;
  if (EFI_ERROR(BS->HandleProtocol(adapter, &service, (VOID **)&child->service))) return 0;
  if (EFI_ERROR(child->service->CreateChild(child->service, &child->handle))) return 0;
  if (!EFI_ERROR(BS->HandleProtocol(child->handle, &protocol, &child->protocol))) return 1;
  child_close(child);
  return 0;
}

void child_close(struct child *child) {
  child->service->DestroyChild(child->service, child->handle);
}
