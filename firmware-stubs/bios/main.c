/*
 * The BIOS stub: hears a technician, obeys the boot pointer in the EEPROM, and has iPXE fetch what it names. README.md says
 * how. It stays in memory while iPXE runs, which comes back to it to have the attempt counted.
 */
#include <stddef.h>

#include "../pointer/decide.h"
#include "bios.h"
#include "eeprom.h"
#include "ipxe.h"
#include "line.h"
#include "listen.h"
#include "script.h"

/* What boot-disk.ts puts into the first sector, which is still where the BIOS loaded it. */
struct settings {
  char magic[4];
  uint16_t stub_sectors, listen_milliseconds;
  uint32_t ipxe_sector, ipxe_bytes;
};

enum { SETTINGS = 0x7c00 + 0x1a0, SLOT = BW_LARGEST_SLOT, RETRY_MILLISECONDS = 5000 };

static struct bw_decision decision;

/* One line; a part that is not wanted is "". */
static void say(const char *word, const char *name, const char *between, const char *rest) {
  line_say("bootwright: firmware ");
  line_say(word);
  line_say(name);
  line_say(between);
  line_say(rest);
  line_say("\r\n");
}

/* Starts again after a while, in which a technician is heard. */
static void fail(const char *why) {
  say("error ", why, "", "");
  listen(RETRY_MILLISECONDS);
  line_drain();
  reset();
}

static void say_pointer(void) {
  char attempts[4] = {0}, *at = attempts;
  uint8_t number = decision.record.attempts;
  if (number >= 100) *at++ = (char)('0' + number / 100);
  if (number >= 10) *at++ = (char)('0' + number / 10 % 10);
  *at = (char)('0' + number % 10);
  const char *between = decision.slot == 0 ? " slot=0 attempts=" : " slot=1 attempts=";
  say("pointer image=", decision.record.image, between, attempts);
  if (decision.fallback)
    say("error no attempts left for ", decision.record.image, ": fallback ", decision.image);
}

/* entry.S: after power-on and every reset, from the boot disk `drive`. */
void bw_start(uint32_t drive) {
  struct settings settings = *(const struct settings *)SETTINGS;
  static char script[LONGEST_SCRIPT];
  line_open();
  line_say("\r\n");
  say("start", "", "", "");
  /* SMBIOS tables may lie above 1 MiB. Where it stays shut start_ipxe() says so. */
  open_a20();
  int found = eeprom_find((uint8_t)drive);
  if (found == 0) listen(settings.listen_milliseconds);
  const uint8_t *store = eeprom_bytes();
  if (store == NULL) fail(found == 0 ? "cannot read the EEPROM" : "no disk of 8192 bytes: there is no EEPROM");
  bw_decide(store, store + SLOT, SLOT, &decision);
  if (decision.error != NULL) fail(decision.error);
  say_pointer();
  line_drain();
  struct ipxe_place ipxe = {(uint8_t)drive, settings.ipxe_sector, settings.ipxe_bytes};
  fail(start_ipxe(&ipxe, script, write_script(&decision, (uint8_t)drive, script)));
}

/* entry.S: iPXE has the image's manifest, boot.ipxe, and asks for the attempt to be counted. It goes on afterwards. */
void bw_started_again(void) {
  uint32_t other = decision.slot == 0 ? SLOT : 0;
  if (eeprom_write(other, decision.count, decision.count_length) == 0) return;
  line_say("\r\n");
  say("error ", "cannot count the attempt", "", "");
  line_drain();
}

/* entry.S: iPXE has ended, which its script never lets it do. */
void bw_ipxe_ended(void) {
  line_say("\r\n");
  fail("iPXE has ended");
}
