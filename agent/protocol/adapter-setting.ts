/** What a node's definition says of one of its network adapters; part of a plan, and so signed and kept on its disk. */
import * as z from 'zod/mini';
import { isIpv4 } from './ipv4.ts';
import { lazily } from './lazily.ts';
import { isAdapterMac } from './mac.ts';

/** As sysfs writes them. */
const mac = lazily(() =>
  z
    .string()
    .check(z.refine((text) => isAdapterMac(text) && text === text.toLowerCase(), 'no adapter has it')),
);
const ipv4 = lazily(() => z.string().check(z.refine(isIpv4, 'not an IPv4 address')));

/** Something is set in each. */
export const adapterSetting = lazily(() =>
  z.object({
    /** The address it has from its maker, by which it is known; without it, the adapter that the node booted over. */
    mac: z.optional(mac()),
    /** The one it is to have. */
    setMac: z.optional(mac()),
    network: z.optional(
      z.object({
        address: ipv4(),
        prefix: z.number().check(z.int(), z.minimum(1), z.maximum(32)),
        /** For the default route, which goes through no other adapter then. */
        gateway: z.optional(ipv4()),
      }),
    ),
  }),
);

export type AdapterSetting = z.infer<ReturnType<typeof adapterSetting>>;
/** IPv4 address of an adapter, the prefix of its network, and where the default route leads. */
export type Ipv4Settings = NonNullable<AdapterSetting['network']>;
