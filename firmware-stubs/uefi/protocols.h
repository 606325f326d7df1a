/*
 * Protocols that gnu-efi does not declare, as far as the stub calls them: EFI_DHCP4_PROTOCOL (UEFI 2.10 section 29.2),
 * EFI_MTFTP4_PROTOCOL (30.3), EFI_LOAD_FILE2_PROTOCOL (13.2). A member that is never called is a VOID *.
 */
#ifndef BW_PROTOCOLS_H
#define BW_PROTOCOLS_H

#include <efi.h>

#define DHCP4_GUID {0x8a219718, 0x4ef5, 0x4761, {0x91, 0xc8, 0xc0, 0xf0, 0x4b, 0xda, 0x9e, 0x56}}
#define DHCP4_SERVICE_GUID {0x9d9a39d8, 0xbd42, 0x4a73, {0xa4, 0xd5, 0x8e, 0xe9, 0x4b, 0xe1, 0x13, 0x80}}
#define MTFTP4_GUID {0x78247c57, 0x63db, 0x4708, {0x99, 0xc2, 0xa8, 0xb4, 0xa9, 0xa6, 0x1f, 0x6b}}
#define MTFTP4_SERVICE_GUID {0x2fe800be, 0x8f01, 0x4aa6, {0x94, 0x6b, 0xd7, 0x13, 0x88, 0xe1, 0x83, 0x3f}}
#define LOAD_FILE2_GUID {0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}}

/* --- DHCP --- */

/* Numbers are in network order; `option` are the packed options that follow (RFC 2131 section 2). */
#pragma pack(1)
typedef struct {
  UINT32 size, length;
  UINT8 head[236];
  UINT32 magic;
  UINT8 option[1];
} DHCP4_PACKET;
#pragma pack()

struct dhcp4;

typedef struct {
  UINT32 discover_tries, *discover_seconds, request_tries, *request_seconds;
  EFI_IPv4_ADDRESS client;
  /* Is told of each packet. EFI_SUCCESS goes on; after an offer, without waiting for others. */
  EFI_STATUS(EFIAPI *callback)(struct dhcp4 *, VOID *context, INT32 state, INT32 event, DHCP4_PACKET *, DHCP4_PACKET **);
  VOID *context;
  UINT32 option_count;
  /* Each begins with its code and its length, as on the wire. */
  UINT8 **options;
} DHCP4_CONFIG;

typedef struct {
  INT32 state;
  DHCP4_CONFIG config;
  EFI_IPv4_ADDRESS client;
  EFI_MAC_ADDRESS mac;
  EFI_IPv4_ADDRESS server, router, netmask;
  UINT32 lease_seconds;
  DHCP4_PACKET *reply;
} DHCP4_MODE;

typedef struct dhcp4 {
  EFI_STATUS(EFIAPI *get_mode)(struct dhcp4 *, DHCP4_MODE *);
  EFI_STATUS(EFIAPI *configure)(struct dhcp4 *, DHCP4_CONFIG *);
  /* Without an event it comes back when there is a lease, or none. */
  EFI_STATUS(EFIAPI *start)(struct dhcp4 *, EFI_EVENT);
  VOID *renew_rebind, *release;
  EFI_STATUS(EFIAPI *stop)(struct dhcp4 *);
  VOID *build, *transmit_receive, *parse;
} DHCP4;

/* --- TFTP --- */

enum { TFTP_DATA = 3, TFTP_ERROR = 5, TFTP_OACK = 6 };

typedef struct {
  UINT8 *name, *value;
} MTFTP4_OPTION;

typedef struct {
  BOOLEAN use_default;
  EFI_IPv4_ADDRESS station, netmask;
  UINT16 local_port;
  EFI_IPv4_ADDRESS gateway, server;
  UINT16 server_port, tries, seconds;
} MTFTP4_CONFIG;

struct mtftp4;

typedef struct mtftp4_token {
  EFI_STATUS status;
  EFI_EVENT event;
  VOID *override_data;
  UINT8 *file, *mode;
  UINT32 option_count;
  MTFTP4_OPTION *options;
  UINT64 buffer_size;
  VOID *buffer, *context;
  /* Is shown each packet of data once and in order, and options and errors. An error as its result ends the transfer. */
  EFI_STATUS(EFIAPI *check_packet)(struct mtftp4 *, struct mtftp4_token *, UINT16 length, UINT8 *packet);
  VOID *timed_out, *packet_needed;
} MTFTP4_TOKEN;

typedef struct mtftp4 {
  VOID *get_mode;
  EFI_STATUS(EFIAPI *configure)(struct mtftp4 *, MTFTP4_CONFIG *);
  VOID *get_info, *parse_options;
  /* Without an event it comes back at the end of the transfer. */
  EFI_STATUS(EFIAPI *read_file)(struct mtftp4 *, MTFTP4_TOKEN *);
  VOID *write_file, *read_directory, *poll;
} MTFTP4;

/* --- Files that a program asks for --- */

typedef struct load_file2 {
  EFI_STATUS(EFIAPI *load_file)(struct load_file2 *, EFI_DEVICE_PATH *, BOOLEAN, UINTN *size, VOID *buffer);
} LOAD_FILE2;

#endif
