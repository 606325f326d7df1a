/** Round-trip estimation in the manner of RFC 6298, with bounds fit for a boot network. Times in milliseconds. */

export interface RoundTrip {
  /** Smoothed round trip; undefined before the first sample. */
  smoothed: number | undefined;
  variation: number;
}

/** Below this a busy client's pauses look like loss. */
export const FLOOR_MS = 50;
/** Before the first sample. RFC 6298 says a second; a boot ROM that lost our first packet should not wait that long. */
export const INITIAL_MS = 200;

export const NO_ROUND_TRIP: RoundTrip = { smoothed: undefined, variation: 0 };

/** RFC 6298 section 2.2 and 2.3. */
export function sample(before: RoundTrip, measured: number): RoundTrip {
  if (before.smoothed === undefined) return { smoothed: measured, variation: measured / 2 };
  return {
    variation: 0.75 * before.variation + 0.25 * Math.abs(before.smoothed - measured),
    smoothed: 0.875 * before.smoothed + 0.125 * measured,
  };
}

/** How long to wait for an ACK after `retries` time-outs in a row; doubles with each, never beyond `most`. */
export function retransmissionTime(trip: RoundTrip, retries: number, most: number): number {
  const once =
    trip.smoothed === undefined ? INITIAL_MS : Math.max(FLOOR_MS, trip.smoothed + 4 * trip.variation);
  return Math.min(once * 2 ** Math.min(retries, 16), most);
}
