#include "fetch.h"

#include <efilib.h>

#include "machine.h"
#include "protocols.h"
#include "service.h"

enum { TRIES = 3, SECONDS = 1, OPCODE = 2, DATA_HEAD = 4, WORDS = 80 };
/* A kernel or an initrd beyond it is a mistake of the imager's. */
#define LARGEST_FILE (1ull << 30)

static const char NO_LENGTH[] = "it is empty, or the server does not say how long it is";

struct transfer {
  struct file *file;
  /* How much of the file has come. */
  uint64_t at;
  char why[WORDS];
};

static uint64_t number(const char *text) {
  uint64_t value = 0;
  for (; *text >= '0' && *text <= '9' && value <= LARGEST_FILE; text++) value = 10 * value + (uint64_t)(*text - '0');
  return value;
}

static int same_ignoring_case(const char *a, const char *b) {
  while (*a != 0 && (*a | 0x20) == (*b | 0x20)) a++, b++;
  return *a == *b;
}

/* Options are texts in pairs, each ended by a zero (RFC 2347). The server sends them again where our ACK got lost. */
static int take_size(struct transfer *transfer, const char *options, uint32_t length) {
  if (transfer->file->bytes != NULL) return 1;
  if (length == 0 || options[length - 1] != 0) return 0;
  const char *end = options + length;
  while (options < end) {
    const char *name = options;
    while (*options++ != 0) {}
    if (options == end) return 0;
    if (same_ignoring_case(name, "tsize")) transfer->file->length = number(options);
    while (*options++ != 0) {}
  }
  uint64_t size = transfer->file->length;
  EFI_PHYSICAL_ADDRESS pages;
  if (size == 0 || size > LARGEST_FILE) {
    put_text(transfer->why, WORDS, "%s", size == 0 ? NO_LENGTH : "it is too long");
    return 0;
  }
  if (EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, EFI_SIZE_TO_PAGES(size), &pages))) {
    put_text(transfer->why, WORDS, "no memory for %x bytes (hexadecimal)", size);
    return 0;
  }
  transfer->file->bytes = (uint8_t *)(UINTN)pages;
  return 1;
}

static void take_words(struct transfer *transfer, const uint8_t *text, uint32_t length) {
  uint32_t at = 0;
  for (; at < length && at < WORDS - 1 && text[at] >= ' ' && text[at] <= '~'; at++) transfer->why[at] = (char)text[at];
  transfer->why[at] = 0;
}

static EFI_STATUS EFIAPI check_packet(MTFTP4 *tftp, MTFTP4_TOKEN *token, UINT16 length, UINT8 *packet) {
  (void)tftp;
  struct transfer *transfer = token->context;
  if (length < DATA_HEAD) return EFI_ABORTED;
  switch (packet[0] << 8 | packet[1]) {
    case TFTP_OACK:
      return take_size(transfer, (const char *)packet + OPCODE, length - OPCODE) ? EFI_SUCCESS : EFI_ABORTED;
    case TFTP_ERROR:
      take_words(transfer, packet + DATA_HEAD, length - DATA_HEAD);
      return EFI_SUCCESS;
    case TFTP_DATA:
      length -= DATA_HEAD;
      if (transfer->file->bytes == NULL) put_text(transfer->why, WORDS, "%s", NO_LENGTH);
      if (transfer->file->bytes == NULL || length > transfer->file->length - transfer->at) return EFI_ABORTED;
      CopyMem(transfer->file->bytes + transfer->at, packet + DATA_HEAD, length);
      transfer->at += length;
      /* Each MiB: a large file on a slow line takes longer than the watchdog waits. */
      if ((transfer->at & 0xfffff) < length) machine_watch();
      return EFI_SUCCESS;
    default:
      return EFI_SUCCESS;
  }
}

static const char *words_of(EFI_STATUS status, struct transfer *transfer) {
  if (transfer->why[0] != 0) return transfer->why;
  if (status == EFI_TIMEOUT) return "no answer";
  if (status == EFI_ABORTED) return "it is not as long as the server said";
  put_text(transfer->why, WORDS, "status %x", (uint64_t)status);
  return transfer->why;
}

/*
 * No windows (RFC 7440): edk2's driver answers each block that is out of order with an ACK, and a server each of those with a
 * window. One lost packet makes a storm of it: seen were 630,000 packets for 8,000 blocks, with windows of 16.
 */
static EFI_STATUS read_file(MTFTP4 *tftp, const struct lease *lease, const uint8_t server[4], const char *path,
                            struct transfer *transfer) {
  static MTFTP4_OPTION options[] = {
    {(UINT8 *)"tsize", (UINT8 *)"0"},
    {(UINT8 *)"blksize", (UINT8 *)"1468"},
  };
  MTFTP4_CONFIG config = {
    .station = lease->address,
    .netmask = lease->netmask,
    .gateway = lease->router,
    .tries = TRIES,
    .seconds = SECONDS,
  };
  CopyMem(&config.server, (VOID *)server, sizeof config.server);
  EFI_STATUS status = tftp->configure(tftp, &config);
  if (EFI_ERROR(status)) return status;
  MTFTP4_TOKEN token = {
    .file = (UINT8 *)path,
    .option_count = sizeof options / sizeof *options,
    .options = options,
    .context = transfer,
    .check_packet = check_packet,
  };
  status = tftp->read_file(tftp, &token);
  tftp->configure(tftp, NULL);
  if (EFI_ERROR(status)) return status;
  return transfer->at == transfer->file->length && transfer->at > 0 ? EFI_SUCCESS : EFI_ABORTED;
}

const char *fetch(const struct lease *lease, const uint8_t server[4], const char *path, struct file *file) {
  /* Its words are given to the caller. */
  static struct transfer transfer;
  EFI_GUID service = MTFTP4_SERVICE_GUID, protocol = MTFTP4_GUID;
  struct child child;
  file->bytes = NULL;
  file->length = 0;
  transfer.file = file;
  transfer.at = 0;
  transfer.why[0] = 0;
  if (!child_open(&child, lease->adapter, service, protocol)) return "the firmware has no TFTP";
  EFI_STATUS status = read_file(child.protocol, lease, server, path, &transfer);
  child_close(&child);
  if (!EFI_ERROR(status)) return NULL;
  file_free(file);
  return words_of(status, &transfer);
}

void file_free(struct file *file) {
  if (file->bytes != NULL) BS->FreePages((EFI_PHYSICAL_ADDRESS)(UINTN)file->bytes, EFI_SIZE_TO_PAGES(file->length));
  file->bytes = NULL;
}
