/**
 * Messages of the kernel's generic netlink family "nbd" (linux/netlink.h, linux/genetlink.h, linux/nbd-netlink.h).
 * Netlink is in the byte order of the machine: both architectures of the static binary are little-endian.
 */
import type { NbdAttachment } from '../linux/host.ts';
import { joined } from '../protocol/joined.ts';

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const CTRL_ATTR_MCAST_GROUPS = 7;
const CTRL_ATTR_MCAST_GRP_NAME = 1;
const CTRL_ATTR_MCAST_GRP_ID = 2;
const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

const NBD_CMD_CONNECT = 1;
const NBD_CMD_RECONFIGURE = 3;
const NBD_CMD_LINK_DEAD = 4;
const NBD_ATTR_INDEX = 1;
const NBD_ATTR_SIZE_BYTES = 2;
const NBD_ATTR_BLOCK_SIZE_BYTES = 3;
const NBD_ATTR_TIMEOUT = 4;
const NBD_ATTR_SERVER_FLAGS = 5;
const NBD_ATTR_SOCKETS = 7;
const NBD_ATTR_DEAD_CONN_TIMEOUT = 8;
const NBD_SOCK_ITEM = 1;
const NBD_SOCK_FD = 1;

/**
 * Seconds after which the kernel gives an unanswered request to another connection (drivers/block/nbd.c,
 * nbd_xmit_timeout). Without it, requests that were on their way when a connection died would never be sent again, so
 * this is how long such a request is held up. Not shorter: a server that is only slow could still carry out the first
 * copy of a write after the second one.
 */
export const REQUEST_TIMEOUT_SECONDS = 5;

export interface NetlinkMessage {
  type: number;
  sequence: number;
  /** What follows the 16-byte header. */
  payload: Uint8Array;
}

export interface Family {
  id: number;
  groups: Map<string, number>;
}

/** Asks the controller for a family by name. */
export function familyRequest(sequence: number, name: string): Uint8Array {
  const text = new TextEncoder().encode(`${name}\0`);
  return request(GENL_ID_CTRL, sequence, CTRL_CMD_GETFAMILY, [attribute(CTRL_ATTR_FAMILY_NAME, text)]);
}

/** The controller's answer to familyRequest, or undefined where the message is another one. */
export function parseFamily(message: NetlinkMessage): Family | undefined {
  if (message.type !== GENL_ID_CTRL) return undefined;
  const attributes = parseAttributes(message.payload.subarray(4));
  const id = attributes.find(([type]) => type === CTRL_ATTR_FAMILY_ID)?.[1];
  if (id === undefined || id.length < 2) return undefined;
  const groups = new Map<string, number>();
  const nested = attributes.find(([type]) => type === CTRL_ATTR_MCAST_GROUPS)?.[1] ?? new Uint8Array(0);
  for (const [, item] of parseAttributes(nested)) {
    const fields = new Map(parseAttributes(item));
    const name = fields.get(CTRL_ATTR_MCAST_GRP_NAME);
    const group = fields.get(CTRL_ATTR_MCAST_GRP_ID);
    if (name !== undefined && group !== undefined && group.length >= 4)
      groups.set(new TextDecoder().decode(name).replace(/\0$/, ''), view(group).getUint32(0, true));
  }
  return { id: view(id).getUint16(0, true), groups };
}

/** NBD_CMD_CONNECT: descriptor `fd` of this process becomes the connection of /dev/nbd`index`. */
export function connectRequest(family: number, sequence: number, nbd: NbdAttachment, fd: number): Uint8Array {
  return request(family, sequence, NBD_CMD_CONNECT, [
    attribute(NBD_ATTR_INDEX, u32(nbd.index)),
    attribute(NBD_ATTR_SIZE_BYTES, u64(nbd.sizeBytes)),
    attribute(NBD_ATTR_BLOCK_SIZE_BYTES, u64(nbd.blockSize)),
    attribute(NBD_ATTR_TIMEOUT, u64(REQUEST_TIMEOUT_SECONDS)),
    attribute(NBD_ATTR_SERVER_FLAGS, u64(nbd.flags)),
    attribute(NBD_ATTR_DEAD_CONN_TIMEOUT, u64(nbd.deadTimeoutSeconds)),
    sockets(fd),
  ]);
}

/**
 * NBD_CMD_RECONFIGURE: `fd` takes the place of a dead connection; without a dead one it changes nothing but the size,
 * which may have grown.
 */
export function reconfigureRequest(
  family: number,
  sequence: number,
  nbd: NbdAttachment,
  fd: number,
): Uint8Array {
  return request(family, sequence, NBD_CMD_RECONFIGURE, [
    attribute(NBD_ATTR_INDEX, u32(nbd.index)),
    attribute(NBD_ATTR_SIZE_BYTES, u64(nbd.sizeBytes)),
    attribute(NBD_ATTR_TIMEOUT, u64(REQUEST_TIMEOUT_SECONDS)),
    attribute(NBD_ATTR_DEAD_CONN_TIMEOUT, u64(nbd.deadTimeoutSeconds)),
    sockets(fd),
  ]);
}

/** The index of the device whose connection died, or undefined where the message says something else. */
export function parseLinkDead(family: number, message: NetlinkMessage): number | undefined {
  if (message.type !== family || message.payload[0] !== NBD_CMD_LINK_DEAD) return undefined;
  const index = new Map(parseAttributes(message.payload.subarray(4))).get(NBD_ATTR_INDEX);
  return index !== undefined && index.length >= 4 ? view(index).getUint32(0, true) : undefined;
}

/** The errno of an acknowledgement (0: done), or undefined where the message is none. */
export function parseAcknowledgement(message: NetlinkMessage): number | undefined {
  if (message.type !== NLMSG_ERROR || message.payload.length < 4) return undefined;
  return 0 - view(message.payload).getInt32(0, true);
}

/** The messages of one datagram. Stops at the first whose length cannot be. */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const fields = view(datagram);
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = fields.getUint32(at, true);
    if (length < 16 || at + length > datagram.length) break;
    messages.push({
      type: fields.getUint16(at + 4, true),
      sequence: fields.getUint32(at + 8, true),
      payload: datagram.subarray(at + 16, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

function parseAttributes(bytes: Uint8Array): [type: number, value: Uint8Array][] {
  const attributes: [number, Uint8Array][] = [];
  const fields = view(bytes);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = fields.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    attributes.push([fields.getUint16(at + 2, true) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length)]);
    at += aligned(length);
  }
  return attributes;
}

function request(type: number, sequence: number, command: number, attributes: Uint8Array[]): Uint8Array {
  const body = joined(attributes);
  const message = new Uint8Array(20 + body.length);
  const fields = view(message);
  fields.setUint32(0, message.length, true);
  fields.setUint16(4, type, true);
  fields.setUint16(6, NLM_F_REQUEST | NLM_F_ACK, true);
  fields.setUint32(8, sequence, true);
  message[16] = command;
  message[17] = 1; // version of the family's interface
  message.set(body, 20);
  return message;
}

function sockets(fd: number): Uint8Array {
  const item = attribute(NBD_SOCK_ITEM | NLA_F_NESTED, attribute(NBD_SOCK_FD, u32(fd)));
  return attribute(NBD_ATTR_SOCKETS | NLA_F_NESTED, item);
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(aligned(4 + value.length));
  view(bytes).setUint16(0, 4 + value.length, true);
  view(bytes).setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  view(bytes).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
