/* Which node this is: the UID of agent/protocol/uid.ts, from SMBIOS (DMTF DSP0134). */
#ifndef BW_IDENTITY_H
#define BW_IDENTITY_H

/* A UUID, or "serial:" and a serial number; "" where the board says neither. */
const char *hardware_uid(void);

#endif
