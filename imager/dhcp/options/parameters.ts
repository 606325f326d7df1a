/** Option 55: the codes of the options a client asks for (RFC 2132 section 9.8). */

export interface Parameters {
  codes: ReadonlySet<number>;
  /** In their order, with commas; undefined where the option was not sent. */
  text: string | undefined;
}

const NONE: Parameters = { codes: new Set(), text: undefined };

/** How many lists are kept. */
const KEPT = 64;
const kept = new Array<{ bytes: Uint8Array; parameters: Parameters } | undefined>(KEPT);

/** The parameters in the value of option 55. Programs of one kind all send the same list: what was made of it is kept. */
export function parametersFrom(value: Uint8Array | undefined): Parameters {
  if (value === undefined) return NONE;
  let place = value.length;
  for (let i = 0; i < value.length; i++) place = (place * 31 + value[i]!) % KEPT;
  const former = kept[place];
  if (former !== undefined && isSame(former.bytes, value)) return former.parameters;
  const parameters = { codes: new Set(value), text: value.join() };
  kept[place] = { bytes: Uint8Array.from(value), parameters };
  return parameters;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
