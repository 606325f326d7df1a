#include "script.h"

struct text {
  char *at, *end;
};

/* The longest script takes about half of what there is; what had no room would be left out. */
static void add(struct text *out, const char *words) {
  while (*words != 0 && out->at < out->end) *out->at++ = *words++;
}

static void add_number(struct text *out, uint32_t number) {
  char digits[11], *at = digits + 10;
  *at = 0;
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  add(out, at);
}

static void add_address(struct text *out, const uint8_t *address) {
  for (int i = 0; i < 4; i++) {
    if (i > 0) add(out, ".");
    add_number(out, address[i]);
  }
}

/* IPv4 alone: waiting for an IPv6 router costs 16 s where there is none. */
static void add_start(struct text *out, const char *image) {
  add(out, "#!ipxe\nifconf -c dhcp || goto no_lease\necho bootwright: firmware dhcp ${netX/ip}\nset bw_image ");
  add(out, image);
  add(out, "\nset bw_ip ${netX/ip}::${netX/gateway}:${netX/netmask}:${netX/hostname:uristring}:eth0:off\n"
           "set bw_cmdline bootwright.image=${bw_image} bootwright.pointer=eeprom:/dev/vda ip=${bw_ip}\n"
           "echo bootwright: firmware load ${bw_image}\n");
}

/*
 * An imager that gives boot.ipxe has the image: now the attempt is counted, once a boot, by the first sector of the boot
 * disk, which comes back. boot.ipxe must not stay among the images: Linux would get it as part of its initrd.
 */
static void add_imager(struct text *out, const uint8_t *address, uint32_t number, int counts, uint8_t drive) {
  add(out, "imgfree ||\nset bw_imager ");
  add_address(out, address);
  add(out, "\nimgfetch --timeout 3000 --name boot.ipxe http://${bw_imager}/images/${bw_image}/boot.ipxe || goto failed_");
  add_number(out, number);
  if (counts) {
    add(out, "\nisset ${bw_counted} || sanboot --no-describe --keep --drive ");
    add_number(out, drive);
    add(out, " ||\nset bw_counted 1");
  }
  add(out, "\nimgexec --autofree boot.ipxe ||\n:failed_");
  add_number(out, number);
  add(out, "\necho bootwright: firmware error imager ${bw_imager}: ${errno:hexraw}\n");
}

uint32_t write_script(const struct bw_decision *decision, uint8_t drive, char *script) {
  struct text out = {script, script + LONGEST_SCRIPT};
  const struct bw_record *record = &decision->record;
  add_start(&out, decision->image);
  for (uint32_t i = 0; i < record->imagers; i++)
    add_imager(&out, record->imager[i], i + 1, decision->count_length > 0, drive);
  add(&out, "echo bootwright: firmware error no imager gave image ${bw_image}\ngoto retry\n"
            ":no_lease\necho bootwright: firmware error no DHCP lease\n"
            ":retry\nsleep 5\nreboot\n");
  return (uint32_t)(out.at - script);
}
