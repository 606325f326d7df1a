#include "lease.h"

#include <efilib.h>

#include "machine.h"
#include "protocols.h"
#include "service.h"

enum { PAD = 0, HOST_NAME_OPTION = 12, END = 255, HEAD = 240 };
enum { TRIES = 4 };

static int is_none(const uint8_t uuid[16]) {
  for (int i = 0; i < 16; i++)
    if (uuid[i] != 0) return 0;
  return 1;
}

/* Letters, digits, '.' and '-' alone: it becomes part of the kernel's arguments. */
static int is_host_letter(uint8_t letter) {
  uint8_t small = letter | 0x20;
  return (small >= 'a' && small <= 'z') || (letter >= '0' && letter <= '9') || letter == '.' || letter == '-';
}

/* Finds option 12 among the packed options of a reply. */
static void take_host_name(const DHCP4_PACKET *reply, char *name) {
  name[0] = 0;
  if (reply == NULL || reply->length < HEAD) return;
  const uint8_t *at = reply->option, *end = reply->option + (reply->length - HEAD);
  while (at < end && *at != END) {
    if (*at == PAD) {
      at++;
      continue;
    }
    if (end - at < 2 || end - at - 2 < at[1]) return;
    if (at[0] == HOST_NAME_OPTION && at[1] < HOST_NAME) {
      for (int i = 0; i < at[1]; i++) {
        if (!is_host_letter(at[2 + i])) {
          name[0] = 0;
          return;
        }
        name[i] = (char)at[2 + i];
      }
      name[at[1]] = 0;
      return;
    }
    at += 2 + at[1];
  }
}

/* The first offer is taken: by itself the driver waits for others, for as long as a server has to answer. */
static EFI_STATUS EFIAPI go_on(DHCP4 *dhcp, VOID *context, INT32 state, INT32 event, DHCP4_PACKET *packet,
                               DHCP4_PACKET **instead) {
  (void)dhcp, (void)context, (void)state, (void)event, (void)packet, (void)instead;
  return EFI_SUCCESS;
}

static int ask(EFI_HANDLE adapter, const uint8_t uuid[16], struct lease *lease) {
  /* Of option 93 the processor: x86-64 UEFI (RFC 4578 section 2.1). It tells a server that this is firmware. */
  static UINT8 architecture[] = {93, 2, 0, 7}, wanted[] = {55, 4, 1, 3, 12, 51}, machine[19] = {97, 17, 0};
  static UINT32 seconds[TRIES] = {1, 2, 4, 8};
  UINT8 *options[] = {wanted, architecture, machine};
  CopyMem(machine + 3, (VOID *)uuid, 16);
  DHCP4_CONFIG config = {
    .discover_tries = TRIES,
    .discover_seconds = seconds,
    .request_tries = TRIES,
    .request_seconds = seconds,
    .callback = go_on,
    .option_count = is_none(uuid) ? 2 : 3,
    .options = options,
  };
  EFI_GUID service = DHCP4_SERVICE_GUID, protocol = DHCP4_GUID;
  struct child child;
  machine_watch();
  if (!child_open(&child, adapter, service, protocol)) return 0;
  DHCP4 *dhcp = child.protocol;
  DHCP4_MODE mode;
  int found = !EFI_ERROR(dhcp->configure(dhcp, &config)) && !EFI_ERROR(dhcp->start(dhcp, NULL)) &&
              !EFI_ERROR(dhcp->get_mode(dhcp, &mode));
  if (found) {
    lease->adapter = adapter;
    lease->address = mode.client;
    lease->netmask = mode.netmask;
    lease->router = mode.router;
    take_host_name(mode.reply, lease->host_name);
  }
  /* The lease stays: nothing is released. */
  dhcp->stop(dhcp);
  dhcp->configure(dhcp, NULL);
  child_close(&child);
  return found;
}

/* Firmware that was told to start quickly leaves adapters without their drivers. */
static void connect_all(void) {
  EFI_HANDLE *handles;
  UINTN count;
  if (EFI_ERROR(BS->LocateHandleBuffer(AllHandles, NULL, NULL, &count, &handles))) return;
  for (UINTN i = 0; i < count; i++) BS->ConnectController(handles[i], NULL, NULL, TRUE);
  BS->FreePool(handles);
}

static UINTN search(const uint8_t uuid[16], UINTN first, struct lease *lease) {
  EFI_GUID service = DHCP4_SERVICE_GUID;
  EFI_HANDLE *adapters;
  UINTN count, found = 0;
  if (EFI_ERROR(BS->LocateHandleBuffer(ByProtocol, &service, NULL, &count, &adapters))) return 0;
  for (UINTN i = first; i < count && found == 0; i++)
    if (ask(adapters[i], uuid, lease)) found = i + 1;
  BS->FreePool(adapters);
  return found;
}

UINTN lease_get(const uint8_t uuid[16], UINTN first, struct lease *lease) {
  static int connected;
  UINTN found = search(uuid, first, lease);
  if (found > 0 || first > 0 || connected) return found;
  connected = 1;
  connect_all();
  return search(uuid, first, lease);
}
