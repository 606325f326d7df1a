#include "store.h"

#include <efi.h>
#include <efilib.h>

enum { DEFAULT_LISTENING = 1000 };

static EFI_GUID pointer_guid = {0x07957ab7, 0x3a7d, 0x4dc1, {0xb7, 0x51, 0x91, 0x23, 0xd6, 0xf4, 0x2f, 0x29}};

/* Non-volatile, and for the operating system too: what efivarfs writes has the same (UEFI 2.10 section 8.2). */
#define STORED_FOR_ALL \
  (EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

static CHAR16 *name_of(int slot) {
  return slot == 0 ? L"BootPointer0" : L"BootPointer1";
}

static int read_slot(int slot, uint8_t bytes[BW_LARGEST_SLOT]) {
  SetMem(bytes, BW_LARGEST_SLOT, 0);
  UINTN size = BW_LARGEST_SLOT;
  EFI_STATUS status = RT->GetVariable(name_of(slot), &pointer_guid, NULL, &size, bytes);
  if (status != EFI_BUFFER_TOO_SMALL) return status == EFI_SUCCESS || status == EFI_NOT_FOUND;
  /* Behind the record may be anything, in a variable too. */
  VOID *all;
  if (EFI_ERROR(BS->AllocatePool(EfiLoaderData, size, &all))) return 0;
  status = RT->GetVariable(name_of(slot), &pointer_guid, NULL, &size, all);
  if (!EFI_ERROR(status)) CopyMem(bytes, all, BW_LARGEST_SLOT);
  BS->FreePool(all);
  return !EFI_ERROR(status);
}

int store_read(uint8_t store[STORE_SIZE]) {
  return read_slot(0, store) && read_slot(1, store + BW_LARGEST_SLOT);
}

int store_write(int slot, const uint8_t *bytes, uint32_t length) {
  static uint8_t stored[BW_LARGEST_SLOT];
  EFI_STATUS status =
    RT->SetVariable(name_of(slot), &pointer_guid, STORED_FOR_ALL, length, (VOID *)bytes);
  return !EFI_ERROR(status) && read_slot(slot, stored) && CompareMem(stored, (VOID *)bytes, length) == 0;
}

uint32_t store_listening(void) {
  uint8_t bytes[2];
  UINTN size = sizeof bytes;
  EFI_STATUS status = RT->GetVariable(L"BootListen", &pointer_guid, NULL, &size, bytes);
  if (status != EFI_SUCCESS || size != sizeof bytes) return DEFAULT_LISTENING;
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}
