/*
 * The node's end of the serial protocol (agent/protocol/serial/README.md) for firmware: freestanding C99, no heap, no clock.
 * The caller feeds it the bytes that come and sends what it is given to send.
 */
#ifndef BW_NODE_END_H
#define BW_NODE_END_H

#include <stdint.h>

#define BW_LONGEST_PAYLOAD 640
#define BW_LONGEST_BODY (4 + BW_LONGEST_PAYLOAD + 4)
#define BW_LONGEST_STUFFED (BW_LONGEST_BODY + BW_LONGEST_BODY / 254 + 1)

enum bw_event {
  /* Console text, or part of a frame. */
  BW_NOTHING,
  /* A request was answered: somebody is there, listen on. */
  BW_ANSWERED,
  /* The answer has been handed to `send`; start the machine again once it has left. */
  BW_RESET
};

struct bw_node_end {
  /* Set by the caller before bw_node_end_start(). Texts end with a zero; 64 characters of each are sent. */
  const char *uid;
  /* "uboot-env", "ipxe-script" ... */
  const char *layout;
  const char *firmware;
  /* Bytes of the store, and as many of memory. */
  uint32_t size;
  uint8_t *memory;
  /* Refuses writes where it is not 0. */
  int locked;
  /* Both give 0 where they did it. `read` must not answer from a cache, `write` returns when the bytes are durable. */
  int (*read)(void *context, uint32_t offset, uint8_t *bytes, uint32_t length);
  int (*write)(void *context, uint32_t offset, const uint8_t *bytes, uint32_t length);
  void (*send)(void *context, const uint8_t *bytes, uint32_t length);
  void *context;

  /* Its own. */
  uint8_t held[BW_LONGEST_STUFFED];
  uint8_t body[BW_LONGEST_BODY];
  uint8_t frame[BW_LONGEST_STUFFED + 3];
  uint8_t line[512];
  uint32_t held_length, frame_length;
  uint16_t session;
  int state, sequence, last_event;
};

void bw_node_end_start(struct bw_node_end *end);

/* Takes one byte of the line. */
enum bw_event bw_node_end_take(struct bw_node_end *end, uint8_t byte);

#endif
