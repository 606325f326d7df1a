/** What happened in a boot, as every server reports it: the inputs of timelines and of explanations. */

/** Which side saw it. */
export type Component = 'rig' | 'firmware' | 'dhcp' | 'tftp' | 'http' | 'nbd' | 'agent' | 'imager';

export interface BootEvent {
  /** Milliseconds since the epoch, with fractions, from a clock that never goes back. */
  at: number;
  component: Component;
  /** Short name of what happened: 'offer', 'ack', 'transfer-end', 'attach', 'stage1'. Fixed words, one meaning each. */
  step: string;
  /** Where known: who it happened to. Servers know addresses, the service finds the node's name. */
  node?: string;
  mac?: string;
  address?: string;
  /** Reason code where a request was refused, ignored or failed; absent where all is well. */
  reason?: string;
  /** Figures and names worth showing: bytes, seconds, file, export. */
  detail?: Record<string, string | number | boolean>;
}

export interface RecordedEvent extends BootEvent {
  /** Counts events from 1 since this imager started. */
  id: number;
}

export type EventSink = (event: BootEvent) => void;
