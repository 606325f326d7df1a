/* What the node does from power-on until a kernel runs (README.md). */
#include <efi.h>
#include <efilib.h>

#include "../pointer/decide.h"
#include "../smbios/identity.h"
#include "fetch.h"
#include "lease.h"
#include "line.h"
#include "linux.h"
#include "listen.h"
#include "machine.h"
#include "manifest.h"
#include "store.h"

enum { RETRY_MS = 5000, LONGEST_PATH = 160, LONGEST_ARGUMENTS = 2000 };

static EFI_HANDLE image_handle;
static struct bw_identity identity;
static struct bw_decision decision;
static struct lease lease;

static void read_identity(void) {
  EFI_GUID old = SMBIOS_TABLE_GUID, current = SMBIOS3_TABLE_GUID;
  static const uint8_t none[4] = {127, 4};
  const uint8_t *structures = none;
  uint32_t length = sizeof none, version = 0;
  for (UINTN i = 0; i < ST->NumberOfTableEntries; i++) {
    const EFI_CONFIGURATION_TABLE *table = &ST->ConfigurationTable[i];
    const uint8_t *entry = table->VendorTable;
    /* DSP0134 sections 5.2.1 and 5.2.2: where the structures are, how long they are at most, and their version. */
    if (CompareMem((VOID *)&table->VendorGuid, &current, sizeof current) == 0) {
      length = *(const uint32_t *)(entry + 0x0c);
      structures = (const uint8_t *)(UINTN) * (const uint64_t *)(entry + 0x10);
      version = 0x300;
      break;
    }
    if (CompareMem((VOID *)&table->VendorGuid, &old, sizeof old) == 0) {
      length = *(const uint16_t *)(entry + 0x16);
      structures = (const uint8_t *)(UINTN) * (const uint32_t *)(entry + 0x18);
      version = (uint32_t)entry[6] << 8 | entry[7];
    }
  }
  bw_identity_read(structures, length, version, &identity);
}

/* Gives 0 where there is nothing to boot, having said why. */
static int choose(void) {
  static uint8_t store[STORE_SIZE];
  if (!store_read(store)) {
    say("error cannot read the UEFI variables");
    return 0;
  }
  bw_decide(store, store + BW_LARGEST_SLOT, BW_LARGEST_SLOT, &decision);
  if (decision.error != NULL) {
    say("error %s", decision.error);
    return 0;
  }
  const struct bw_record *record = &decision.record;
  say("pointer image=%s slot=%u attempts=%u", record->image, (uint32_t)decision.slot, (uint32_t)record->attempts);
  if (decision.fallback) say("error no attempts left for %s: fallback %s", record->image, decision.image);
  return 1;
}

/* Once a boot: an attempt begins when an imager has given the manifest, so that an imager's failure costs none. */
static void count_attempt(void) {
  if (decision.count_length == 0) return;
  if (!store_write(1 - decision.slot, decision.count, decision.count_length)) say("error cannot count the attempt");
  decision.count_length = 0;
}

static const char *fetch_of_image(const uint8_t imager[4], const char *name, struct file *file) {
  char path[LONGEST_PATH];
  put_text(path, sizeof path, "images/%s/%s", decision.image, name);
  return fetch(&lease, imager, path, file);
}

static const char *start(const struct manifest *manifest, const struct file *kernel, struct file *initrd) {
  static char arguments[LONGEST_ARGUMENTS], router[16];
  router[0] = 0;
  if (lease.router.Addr[0] != 0) put_text(router, sizeof router, "%i", lease.router.Addr);
  if (!put_text(arguments, sizeof arguments,
                "%s bootwright.image=%s bootwright.pointer=efivars:/sys/firmware/efi/efivars ip=%i::%s:%i:%s:eth0:off",
                manifest->args, decision.image, lease.address.Addr, router, lease.netmask.Addr, lease.host_name))
    return "the kernel's arguments are too long";
  say("boot %s", decision.image);
  return linux_start(image_handle, kernel, initrd, arguments);
}

/* Comes back only where the imager did not give all of the image, or its kernel did not start: why, in words. */
static const char *boot_from(const uint8_t imager[4]) {
  static struct manifest manifest;
  struct file text, kernel, initrd;
  const char *why = fetch_of_image(imager, "manifest.env", &text);
  if (why != NULL) return why;
  int usable = manifest_read((const char *)text.bytes, (uint32_t)text.length, &manifest);
  file_free(&text);
  count_attempt();
  if (!usable) return "its manifest.env is not usable";
  why = fetch_of_image(imager, manifest.kernel, &kernel);
  if (why != NULL) return why;
  why = fetch_of_image(imager, manifest.initrd, &initrd);
  if (why == NULL) why = start(&manifest, &kernel, &initrd);
  file_free(&initrd);
  file_free(&kernel);
  return why;
}

static void boot_by_lease(void) {
  say("dhcp %i", lease.address.Addr);
  say("load %s", decision.image);
  const struct bw_record *record = &decision.record;
  for (int i = 0; i < record->imagers; i++) {
    const char *why = boot_from(record->imager[i]);
    say("error no image %s from %i: %s", decision.image, record->imager[i], why);
  }
}

/* A server that answers on one adapter need not be of the network that the imagers are in. */
static void boot(void) {
  if (!choose()) return;
  UINTN next = lease_get(identity.uuid, 0, &lease);
  if (next == 0) say("error no DHCP lease");
  for (; next > 0; next = lease_get(identity.uuid, next, &lease)) boot_by_lease();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
  InitializeLib(image, system);
  image_handle = image;
  line_open(image);
  read_identity();
  uint32_t listening = store_listening();
  /* A technician who has the node start again is done with it. It starts from here: the machine's self-test says nothing new. */
  for (int done = 0;; ) {
    machine_watch();
    say("start");
    done = listening > 0 && !done && listen(identity.uid, listening);
    if (done) continue;
    boot();
    done = wait_listening(identity.uid, RETRY_MS);
  }
}
