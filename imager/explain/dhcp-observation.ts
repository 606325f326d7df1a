/** DHCP messages as observations. */
import type { DhcpMessage } from '../dhcp/codec.ts';
import { DhcpError } from '../dhcp/error.ts';
import { readClientOptions } from '../dhcp/options/client.ts';
import { MESSAGE_TYPE, OPTION } from '../dhcp/options/codes.ts';
import { readAddress, readText } from '../dhcp/options/values.ts';
import type { Answer, Ask, AskType, Seen } from './observation.ts';
import { itemText, menuItems } from './pxe-menu.ts';

const ASKS = new Map<number, AskType>(
  (['discover', 'request', 'decline', 'release', 'inform'] as const).map((type) => [
    MESSAGE_TYPE[type],
    type,
  ]),
);
const ANSWERS = new Map<number, Answer['type']>(
  (['offer', 'ack', 'nak'] as const).map((type) => [MESSAGE_TYPE[type], type]),
);
const ADDRESS = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** What a client says; undefined for message types clients do not send, and malformed options. */
export function askOf(message: DhcpMessage, seen: Seen): Ask | undefined {
  const options = leniently(() => readClientOptions(message.options));
  if (options === undefined) return undefined;
  const { messageType, architecture, vendorClass, userClass, serverIdentifier, requestedAddress } = options;
  const type = messageType === undefined ? 'bootp' : ASKS.get(messageType);
  if (type === undefined) return undefined;
  const address = requestedAddress ?? given(message.ciaddr);
  const item = isPxe(vendorClass) ? itemText(message.options) : undefined;
  return {
    ...seen,
    kind: 'ask',
    type,
    mac: message.mac,
    options: {
      ...(architecture === undefined ? {} : { arch: architecture }),
      ...(vendorClass === undefined ? {} : { vendorClass }),
      ...(userClass === undefined ? {} : { userClass }),
    },
    asked: [...options.parameters],
    ...(serverIdentifier === undefined ? {} : { server: serverIdentifier }),
    ...(address === undefined ? {} : { address }),
    ...(item === undefined ? {} : { item }),
  };
}

/** What a server says; `from` is the sender, who stands for a server that does not name itself. */
export function answerOf(message: DhcpMessage, from: string, seen: Seen): Answer | undefined {
  const { options } = message;
  const type = options.has(OPTION.messageType)
    ? ANSWERS.get(options.get(OPTION.messageType)![0] ?? 0)
    : 'ack';
  if (type === undefined) return undefined;
  const text = (code: number) => leniently(() => readText(options, code)) || undefined;
  const server = leniently(() => readAddress(options, OPTION.serverIdentifier)) ?? from;
  const address = given(message.yiaddr);
  // Option 67 is what firmware reads first where both are there.
  const file = text(OPTION.bootFileName) ?? (message.file || undefined);
  const named = text(OPTION.tftpServerName);
  const fileServer = given(message.siaddr) ?? (named !== undefined && ADDRESS.test(named) ? named : server);
  const subnet = subnetOf(address, options.get(OPTION.subnetMask));
  const routers = options.get(OPTION.router);
  const vendorClass = text(OPTION.vendorClass);
  const reason = type === 'nak' ? text(OPTION.message) : undefined;
  const [menu, item] = isPxe(vendorClass) ? [menuItems(options), itemText(options)] : [];
  return {
    ...seen,
    kind: 'answer',
    type,
    mac: message.mac,
    server,
    ...(address === undefined ? {} : { address }),
    ...(subnet === undefined ? {} : { subnet }),
    ...(routers === undefined || routers.length < 4 ? {} : { router: routers.subarray(0, 4).join('.') }),
    ...(file === undefined ? {} : { file, nextServer: hostOf(file) ?? fileServer }),
    ...(menu === undefined ? {} : { menu }),
    ...(item === undefined ? {} : { item }),
    ...(vendorClass === undefined ? {} : { vendorClass }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** The address in a URL; undefined for a TFTP path, and for a name. */
export function hostOf(file: string): string | undefined {
  const host = /^[a-z]+:\/\/(?:[^/@]*@)?([^/:]+)/i.exec(file)?.[1];
  return host !== undefined && ADDRESS.test(host) ? host : undefined;
}

/** Others have tags of their own in option 43. */
function isPxe(vendorClass: string | undefined): boolean {
  return vendorClass?.startsWith('PXEClient') === true;
}

function given(address: string): string | undefined {
  return address === '0.0.0.0' ? undefined : address;
}

function subnetOf(address: string | undefined, mask: Uint8Array | undefined): string | undefined {
  if (address === undefined || mask === undefined || mask.length !== 4) return undefined;
  const bits = mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
  const network = address.split('.').map((part, i) => Number(part) & mask[i]!);
  return `${network.join('.')}/${bits}`;
}

function leniently<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DhcpError) return undefined;
    throw error;
  }
}
