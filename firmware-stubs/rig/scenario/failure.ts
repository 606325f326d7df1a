/** Something that was expected and did not come, or came and must not. */
import type { ConfigPath } from '../../../imager/model/fault.ts';

export interface Failure {
  /** Where in the scenario's file it is asked for. */
  path: ConfigPath;
  /** `n1 step ready within 20 s of n1 step stage1` */
  expected: string;
  /** What there was instead. */
  came: string;
  at: number;
  /** The node whose console tells more; undefined: any of them. */
  node: string | undefined;
}
