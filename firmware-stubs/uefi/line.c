#include "line.h"

#include <efilib.h>

static EFI_SERIAL_IO_PROTOCOL *line;

void line_open(EFI_HANDLE image) {
  EFI_GUID serial_io = EFI_SERIAL_IO_PROTOCOL_GUID;
  EFI_HANDLE *handles;
  UINTN count;
  if (EFI_ERROR(BS->LocateHandleBuffer(ByProtocol, &serial_io, NULL, &count, &handles))) return;
  VOID *found = NULL;
  EFI_STATUS status =
    BS->OpenProtocol(handles[0], &serial_io, &found, image, NULL, EFI_OPEN_PROTOCOL_EXCLUSIVE);
  /* Firmware that keeps it open may still let it be used. */
  if (status == EFI_ACCESS_DENIED) status = BS->HandleProtocol(handles[0], &serial_io, &found);
  if (!EFI_ERROR(status)) line = found;
  BS->FreePool(handles);
}

void line_write(const uint8_t *bytes, uint32_t length) {
  while (line != NULL && length > 0) {
    UINTN written = length;
    line->Write(line, &written, (VOID *)bytes);
    /* A line that takes nothing within its time-out is held by its other end: what is for it is lost. */
    if (written == 0 || written > length) return;
    bytes += written;
    length -= (uint32_t)written;
  }
}

int line_take(uint8_t *byte) {
  UINT32 control;
  UINTN length = 1;
  if (line == NULL || EFI_ERROR(line->GetControl(line, &control))) return 0;
  if (control & EFI_SERIAL_INPUT_BUFFER_EMPTY) return 0;
  return !EFI_ERROR(line->Read(line, &length, byte)) && length == 1;
}
