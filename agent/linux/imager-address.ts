/** Where an imager's agent endpoint is: ADDRESS or ADDRESS:PORT. */
import { isIpv4 } from '../protocol/ipv4.ts';
import { AGENT_PORT } from '../protocol/messages.ts';

export interface ImagerAddress {
  /** IPv4, dotted decimal. */
  address: string;
  port: number;
}

/** Reads ADDRESS[:PORT]. Throws an Error that says what is wrong. */
export function parseImagerAddress(text: string): ImagerAddress {
  const [address = '', digits, ...rest] = text.split(':');
  const port = digits === undefined ? AGENT_PORT : Number(digits);
  const sound = digits === undefined || (/^[0-9]{1,5}$/.test(digits) && port >= 1 && port <= 65_535);
  if (!isIpv4(address) || !sound || rest.length > 0)
    throw new Error(`imager "${text}" is not ADDRESS or ADDRESS:PORT`);
  return { address, port };
}

export function imagerText({ address, port }: ImagerAddress): string {
  return port === AGENT_PORT ? address : `${address}:${port}`;
}
