#include "linux.h"

#include <efilib.h>

#include "machine.h"
#include "protocols.h"

enum { LONGEST_ARGUMENTS = 2048, WORDS = 64 };

#define INITRD_GUID {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}}

/* --- The initrd: a file that the kernel asks for under a device path of its own --- */

#pragma pack(1)
static struct {
  VENDOR_DEVICE_PATH vendor;
  EFI_DEVICE_PATH end;
} initrd_path = {
  {{MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, {sizeof(VENDOR_DEVICE_PATH), 0}}, INITRD_GUID},
  {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};
#pragma pack()

static const struct file *initrd_file;

static EFI_STATUS EFIAPI load_initrd(LOAD_FILE2 *self, EFI_DEVICE_PATH *path, BOOLEAN policy, UINTN *size, VOID *buffer) {
  (void)self;
  (void)path;
  if (policy || size == NULL) return EFI_UNSUPPORTED;
  UINTN room = *size;
  *size = initrd_file->length;
  if (buffer == NULL || room < initrd_file->length) return EFI_BUFFER_TOO_SMALL;
  CopyMem(buffer, initrd_file->bytes, initrd_file->length);
  return EFI_SUCCESS;
}

static LOAD_FILE2 initrd_loader = {load_initrd};

/* --- The kernel --- */

#pragma pack(1)
struct memory_path {
  MEMMAP_DEVICE_PATH memory;
  EFI_DEVICE_PATH end;
};
#pragma pack()

/* Where it is in memory: some firmware loads nothing that has no path. */
static struct memory_path path_of(const struct file *file) {
  EFI_PHYSICAL_ADDRESS first = (EFI_PHYSICAL_ADDRESS)(UINTN)file->bytes;
  struct memory_path path = {
    {{HARDWARE_DEVICE_PATH, HW_MEMMAP_DP, {sizeof(MEMMAP_DEVICE_PATH), 0}}, EfiLoaderData, first, first + file->length - 1},
    {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
  };
  return path;
}

static const char *failed(const char *what, EFI_STATUS status) {
  static char words[WORDS];
  put_text(words, sizeof words, "%s (status %x)", what, (uint64_t)status);
  return words;
}

/* Why LoadImage did not take it (UEFI 2.10 section 7.4). */
static const char *refusal(EFI_STATUS status) {
  if (status == EFI_SECURITY_VIOLATION || status == EFI_ACCESS_DENIED) return "Secure Boot refuses the kernel";
  return status == EFI_OUT_OF_RESOURCES ? "no memory for the kernel" : "the kernel is no UEFI program";
}

/* The command line as UCS-2, with its zero. */
static void set_arguments(EFI_LOADED_IMAGE *loaded, const char *arguments) {
  static CHAR16 wide[LONGEST_ARGUMENTS];
  UINT32 length = 0;
  while (arguments[length] != 0 && length < LONGEST_ARGUMENTS - 1) {
    wide[length] = (CHAR16)arguments[length];
    length++;
  }
  wide[length] = 0;
  loaded->LoadOptions = wide;
  loaded->LoadOptionsSize = (length + 1) * (UINT32)sizeof *wide;
}

const char *linux_start(EFI_HANDLE image, const struct file *kernel, struct file *initrd, const char *arguments) {
  EFI_GUID device_path = EFI_DEVICE_PATH_PROTOCOL_GUID, load_file2 = LOAD_FILE2_GUID;
  EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
  struct memory_path path = path_of(kernel);
  EFI_HANDLE started = NULL, loader = NULL;
  EFI_LOADED_IMAGE *loaded;
  EFI_STATUS status =
    BS->LoadImage(FALSE, image, (EFI_DEVICE_PATH *)&path, kernel->bytes, kernel->length, &started);
  if (EFI_ERROR(status)) {
    /* Refused by Secure Boot it was loaded all the same (UEFI 2.10 section 7.4, LoadImage). */
    if (started != NULL) BS->UnloadImage(started);
    return failed(refusal(status), status);
  }
  status = BS->HandleProtocol(started, &loaded_image, (VOID **)&loaded);
  if (EFI_ERROR(status)) return failed("the kernel cannot be told its arguments", status);
  set_arguments(loaded, arguments);
  initrd_file = initrd;
  status = BS->InstallMultipleProtocolInterfaces(&loader, &device_path, &initrd_path, &load_file2, &initrd_loader, NULL);
  if (EFI_ERROR(status)) {
    BS->UnloadImage(started);
    return failed("the initrd cannot be offered", status);
  }
  status = BS->StartImage(started, NULL, NULL);
  BS->UninstallMultipleProtocolInterfaces(loader, &device_path, &initrd_path, &load_file2, &initrd_loader, NULL);
  return failed("the kernel came back", status);
}
