/* Which node this is, from the SMBIOS tables that the BIOS leaves in memory. */
#ifndef BW_SMBIOS_H
#define BW_SMBIOS_H

/* As agent/protocol/uid.ts writes it; "" where the board says none. */
const char *hardware_uid(void);

#endif
