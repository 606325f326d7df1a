/* The node's EEPROM: the disk of 8192 bytes among those that the BIOS knows. */
#ifndef BW_EEPROM_H
#define BW_EEPROM_H

#include <stdint.h>

enum { EEPROM_SIZE = 8192 };

/* Finds it among the disks other than `boot_drive`. Gives 0 where it is there. */
int eeprom_find(uint8_t boot_drive);

/* What is stored, from the disk; NULL where it cannot be read. Kept until eeprom_forget() or a write. */
const uint8_t *eeprom_bytes(void);

/* What has been read is asked for again next time. */
void eeprom_forget(void);

/* Gives 0 where the bytes were written and read back as they are. They lie within the EEPROM. */
int eeprom_write(uint32_t offset, const uint8_t *bytes, uint32_t length);

#endif
