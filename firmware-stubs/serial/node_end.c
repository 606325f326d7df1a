#include "node_end.h"

#include "../pointer/crc32.h"
#include "encoding.h"

enum { START = 0xf5, REQUEST = 0x51, ANSWER = 0x41, HEAD = 4, CRC = 4, CHUNK = 512 };
enum { IN_TEXT, AFTER_ZERO, IN_FRAME };
enum { HELLO = 1, READ, WRITE, VERIFY, COMMIT, RESET, LOG };
enum { BAD_REQUEST = 1, LOCKED, MISMATCH, STORE, SESSION };

/* Of the store, piece by piece. Gives 0 where it was read. */
static int crc32_stored(struct bw_node_end *end, uint32_t offset, uint32_t length, uint32_t *sum) {
  uint32_t crc = 0xffffffffu;
  while (length > 0) {
    uint32_t piece = length < sizeof end->line ? length : sizeof end->line;
    if (end->read(end->context, offset, end->line, piece) != 0) return -1;
    crc = bw_crc32_on(crc, end->line, piece);
    offset += piece;
    length -= piece;
  }
  *sum = ~crc;
  return 0;
}

/* --- Operations --- */

static void refuse(struct bw_writer *out, uint32_t code, const char *why) {
  bw_put_head(out, 4, 3);
  bw_put_head(out, 0, 0);
  bw_put_head(out, 0, code);
  bw_put_text(out, why);
}

static void done(struct bw_writer *out, uint32_t operation, uint32_t values) {
  bw_put_head(out, 4, 1 + values);
  bw_put_head(out, 0, operation);
}

/* Is [offset, offset + length) within the store? */
static int fits(const struct bw_node_end *end, uint32_t offset, uint32_t length) {
  return offset <= end->size && length <= end->size - offset;
}

static void answer_hello(struct bw_node_end *end, struct bw_writer *out) {
  done(out, HELLO, 7);
  bw_put_head(out, 0, 1);
  bw_put_text(out, end->uid);
  bw_put_text(out, end->layout);
  bw_put_head(out, 0, end->size);
  bw_put_head(out, 0, CHUNK);
  bw_put_head(out, 0, end->locked ? 1 : 0);
  bw_put_text(out, end->firmware);
}

/* Up to which offset the store holds `fill`, from `offset` on. */
static uint32_t filled(struct bw_node_end *end, uint32_t offset, uint32_t most, uint8_t fill) {
  uint8_t piece[32];
  while (offset < most) {
    uint32_t length = most - offset < sizeof piece ? most - offset : sizeof piece;
    if (end->read(end->context, offset, piece, length) != 0) return offset;
    for (uint32_t i = 0; i < length; i++, offset++)
      if (piece[i] != fill) return offset;
  }
  return offset;
}

/* Literal bytes, and after them how often the last one comes again. */
static void answer_read(struct bw_node_end *end, struct bw_writer *out, uint32_t offset, uint32_t length, uint32_t most) {
  if (length == 0 || most == 0 || most > CHUNK || !fits(end, offset, length)) {
    refuse(out, BAD_REQUEST, "out of range");
    return;
  }
  uint32_t literal = length < most ? length : most;
  if (end->read(end->context, offset, end->line, literal) != 0) {
    refuse(out, STORE, "the store cannot be read");
    return;
  }
  uint8_t fill = end->line[literal - 1];
  uint32_t covered = filled(end, offset + literal, offset + length, fill) - offset;
  while (literal > 0 && end->line[literal - 1] == fill) literal--;
  done(out, READ, 3);
  bw_put_bytes(out, 2, end->line, literal);
  bw_put_head(out, 0, fill);
  bw_put_head(out, 0, covered);
}

static int staged(struct bw_node_end *end, struct bw_writer *out, uint32_t length, uint32_t crc) {
  if (length == 0 || length > end->size) refuse(out, BAD_REQUEST, "out of range");
  else if (bw_crc32(end->memory, length) != crc) refuse(out, MISMATCH, "the CRC-32 of what was sent differs");
  else return 1;
  return 0;
}

static void answer_commit(struct bw_node_end *end, struct bw_writer *out, uint32_t offset, uint32_t length, uint32_t crc) {
  uint32_t stored;
  if (end->locked) refuse(out, LOCKED, "writes are locked on this node");
  else if (!fits(end, offset, length)) refuse(out, BAD_REQUEST, "out of range");
  else if (!staged(end, out, length, crc)) return;
  else if (end->write(end->context, offset, end->memory, length) != 0) refuse(out, STORE, "the store cannot be written");
  else if (crc32_stored(end, offset, length, &stored) != 0) refuse(out, STORE, "the store cannot be read");
  else if (stored != crc) refuse(out, STORE, "the store holds something else than was written");
  else {
    done(out, COMMIT, 1);
    bw_put_head(out, 0, stored);
  }
}

static void write_memory(struct bw_node_end *end, struct bw_writer *out, struct bw_reader *in) {
  uint32_t length, offset = bw_uint(in);
  const uint8_t *bytes = bw_string(in, &length);
  uint32_t fill = bw_uint(in), covered = bw_uint(in);
  if (in->wrong || in->at != in->end || fill > 0xff || covered < length || !fits(end, offset, covered)) {
    refuse(out, BAD_REQUEST, "out of range");
    return;
  }
  for (uint32_t i = 0; i < covered; i++) end->memory[offset + i] = i < length ? bytes[i] : (uint8_t)fill;
  done(out, WRITE, 0);
}

/* How many values each operation has; a write reads its own. */
static const uint8_t VALUES[] = {0, 1, 3, 4, 2, 3, 0, 1};

static enum bw_event answer(struct bw_node_end *end, struct bw_writer *out, struct bw_reader *in, uint16_t session) {
  uint32_t items = bw_head(in, 4), operation = bw_uint(in), value[3] = {0, 0, 0};
  if (in->wrong || operation < HELLO || operation > LOG || items != 1u + VALUES[operation]) {
    refuse(out, BAD_REQUEST, "no such operation");
    return BW_ANSWERED;
  }
  /* Session 0 is none: before the first hello nothing is open. */
  if (session == 0 || (operation != HELLO && session != end->session)) {
    refuse(out, SESSION, "no hello in this session");
    return BW_ANSWERED;
  }
  if (operation == WRITE) {
    write_memory(end, out, in);
    return BW_ANSWERED;
  }
  for (uint32_t i = 0; i + 1 < items; i++) value[i] = bw_uint(in);
  if (in->wrong || in->at != in->end) {
    refuse(out, BAD_REQUEST, "no such operation");
    return BW_ANSWERED;
  }
  switch (operation) {
    case HELLO:
      if (session != end->session)
        for (uint32_t i = 0; i < end->size; i++) end->memory[i] = 0;
      end->session = session;
      answer_hello(end, out);
      break;
    case READ:
      answer_read(end, out, value[0], value[1], value[2]);
      break;
    case VERIFY:
      if (staged(end, out, value[0], value[1])) done(out, VERIFY, 0);
      break;
    case COMMIT:
      answer_commit(end, out, value[0], value[1], value[2]);
      break;
    case LOG:
      /* A stub keeps none. */
      done(out, LOG, 2);
      bw_put_head(out, 0, value[0]);
      bw_put_text(out, "");
      break;
    case RESET:
      done(out, RESET, 0);
      return BW_RESET;
  }
  return BW_ANSWERED;
}

/* --- Frames --- */

static enum bw_event take_body(struct bw_node_end *end, uint32_t length) {
  uint8_t *body = end->body;
  if (length < HEAD + CRC || body[0] != REQUEST) return BW_NOTHING;
  const uint8_t *sum = body + length - CRC;
  uint32_t stated = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
  if (bw_crc32(body, length - CRC) != stated) return BW_NOTHING;
  uint16_t session = (uint16_t)(body[1] << 8 | body[2]);
  int sequence = body[3];
  /* The last request again: its answer got lost. Session 0 is none. */
  if (session == end->session && session != 0 && sequence == end->sequence) {
    end->send(end->context, end->frame, end->frame_length);
    return (enum bw_event)end->last_event;
  }
  /* The request is read from `held`, for the answer takes the place of the body. */
  for (uint32_t i = 0; i < length; i++) end->held[i] = body[i];
  struct bw_reader in = {end->held + HEAD, end->held + length - CRC, 0};
  struct bw_writer out = {body + HEAD};
  enum bw_event event = answer(end, &out, &in, session);
  body[0] = ANSWER;
  uint32_t crc = bw_crc32(body, (uint32_t)(out.at - body));
  for (int shift = 24; shift >= 0; shift -= 8) *out.at++ = (uint8_t)(crc >> shift);
  uint32_t stuffed = bw_stuff(body, (uint32_t)(out.at - body), end->frame + 2);
  end->frame[0] = 0;
  end->frame[1] = START;
  end->frame[2 + stuffed] = 0;
  end->frame_length = stuffed + 3;
  end->send(end->context, end->frame, end->frame_length);
  end->last_event = event;
  /* Of another session nothing is kept. */
  end->sequence = session == end->session ? sequence : -1;
  return event;
}

void bw_node_end_start(struct bw_node_end *end) {
  end->state = IN_TEXT;
  end->held_length = 0;
  end->frame_length = 0;
  end->session = 0;
  end->sequence = -1;
  end->last_event = BW_NOTHING;
}

enum bw_event bw_node_end_take(struct bw_node_end *end, uint8_t byte) {
  enum bw_event event = BW_NOTHING;
  if (byte == 0) {
    if (end->state == IN_FRAME) {
      int32_t length = bw_unstuff(end->held, end->held_length, end->body, sizeof end->body);
      if (length >= 0) event = take_body(end, (uint32_t)length);
    }
    end->held_length = 0;
    /* A zero that ends one frame may begin the next. */
    end->state = AFTER_ZERO;
  } else if (end->state == IN_FRAME) {
    if (end->held_length < sizeof end->held) end->held[end->held_length++] = byte;
    else end->state = IN_TEXT;
  } else
    end->state = end->state == AFTER_ZERO && byte == START ? IN_FRAME : IN_TEXT;
  return event;
}
