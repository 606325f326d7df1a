/** What one comparison with a peer comes to. */
export interface BenchRow {
  name: string;
  ours: number;
  peer: number;
  peerName: string;
  unit: string;
  /** Above 1: ours is better. The median over the pairs, not the ratio of the medians. */
  ratio: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
