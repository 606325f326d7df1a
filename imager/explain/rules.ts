/** The rules in the order in which they are asked: who came far is judged by the end of the way. */
import type { Rule } from './finding.ts';
import { agentSilent } from './rules/agent-silent.ts';
import { agentStopped } from './rules/agent-stopped.ts';
import { atMenu } from './rules/at-menu.ts';
import { blockedPort } from './rules/blocked-port.ts';
import { bootItem } from './rules/boot-item.ts';
import { cutFrames } from './rules/cut-frames.ts';
import { fileNotAsked } from './rules/file-not-asked.ts';
import { missingFile } from './rules/missing-file.ts';
import { missingImage } from './rules/missing-image.ts';
import { nak } from './rules/nak.ts';
import { noAnswer } from './rules/no-answer.ts';
import { noBootFile } from './rules/no-boot-file.ts';
import { noRoute } from './rules/no-route.ts';
import { notHeard } from './rules/not-heard.ts';
import { nothingFollowed } from './rules/nothing-followed.ts';
import { offerNotTaken } from './rules/offer-not-taken.ts';
import { optionsRefused } from './rules/options-refused.ts';
import { ready } from './rules/ready.ts';
import { runningSystem } from './rules/running-system.ts';
import { secondServer } from './rules/second-server.ts';
import { serverRefuses } from './rules/server-refuses.ts';
import { stalled } from './rules/stalled.ts';
import { supervised } from './rules/supervised.ts';
import { unreachable } from './rules/unreachable.ts';
import { wrongArchitecture } from './rules/wrong-architecture.ts';

export const RULES: readonly Rule[] = [
  cutFrames,
  ready,
  supervised,
  agentStopped,
  // Two servers make any later failure likely; a file for the wrong machine explains what the node does with it.
  secondServer,
  wrongArchitecture,
  missingImage,
  missingFile,
  optionsRefused,
  serverRefuses,
  noRoute,
  unreachable,
  // Whose nodes ask for no file, and need not.
  bootItem,
  atMenu,
  runningSystem,
  blockedPort,
  stalled,
  agentSilent,
  noBootFile,
  nothingFollowed,
  nak,
  offerNotTaken,
  fileNotAsked,
  noAnswer,
  notHeard,
];
