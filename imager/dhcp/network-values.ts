/** The values of options that are the same in every reply to a network: made once, since each array costs more than its bytes. */
import type { DhcpConfig } from './config.ts';
import { addressToBytes } from './ipv4.ts';
import type { Subnet } from './networks.ts';
import { addressesToBytes, textToBytes, uintToBytes } from './options/values.ts';

/** RFC 2131 section 4.4.5. */
const T1 = 0.5;
const T2 = 0.875;

/** Not to be changed by who is given them. */
export interface NetworkValues {
  mask: Uint8Array;
  broadcast: Uint8Array;
  router: Uint8Array | undefined;
  nameServers: Uint8Array | undefined;
  domain: Uint8Array | undefined;
  /** Of the longest lease, which nearly all are given. */
  times: LeaseTimes;
}

export interface LeaseTimes {
  lease: Uint8Array;
  renewal: Uint8Array;
  rebinding: Uint8Array;
}

const networks = new WeakMap<Subnet, NetworkValues>();
const servers = new WeakMap<DhcpConfig, Uint8Array>();

export function networkValues(subnet: Subnet): NetworkValues {
  let values = networks.get(subnet);
  if (values === undefined) {
    const { router, dns = [], domain, leaseSeconds } = subnet.settings;
    values = {
      mask: uintToBytes(subnet.mask, 4),
      broadcast: uintToBytes(subnet.last, 4),
      router: router === undefined ? undefined : addressToBytes(router),
      nameServers: dns.length === 0 ? undefined : addressesToBytes(dns),
      domain: domain === undefined ? undefined : textToBytes(domain),
      times: timesOf(leaseSeconds),
    };
    networks.set(subnet, values);
  }
  return values;
}

/** The times of a lease of so many seconds. */
export function leaseTimes(subnet: Subnet, seconds: number): LeaseTimes {
  return seconds === subnet.settings.leaseSeconds ? networkValues(subnet).times : timesOf(seconds);
}

function timesOf(seconds: number): LeaseTimes {
  return {
    lease: uintToBytes(seconds, 4),
    renewal: uintToBytes(Math.floor(seconds * T1), 4),
    rebinding: uintToBytes(Math.floor(seconds * T2), 4),
  };
}

/** The address of the server. */
export function serverValue(config: DhcpConfig): Uint8Array {
  let value = servers.get(config);
  if (value === undefined) {
    value = addressToBytes(config.serverAddress);
    servers.set(config, value);
  }
  return value;
}
