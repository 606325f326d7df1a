/** Who the nodes of a storm are, and what comes of one. */

export interface Storm {
  /** From power-on to the last byte, of each node that got its file whole. */
  seconds: number[];
  /** Of each other node: its address and what was wrong. */
  failures: string[];
}

export function identity(n: number): { mac: string; address: string } {
  const [high, low] = [n >> 8, n & 255];
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return { mac: `52:54:00:78:${hex(high)}:${hex(low)}`, address: `10.77.${1 + high}.${low}` };
}
