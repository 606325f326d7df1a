/** A scenario as a picture: the parts of each node's boots, what was done to it, and how it ended. Pure. */
import { BEGINS, LOOK, PARTS, type Part } from '../boot-parts.ts';
import { type PictureBar, pictureSvg } from '../picture.ts';
import type { RigEvent } from './event.ts';
import type { ScenarioResult } from './result.ts';
import { seconds } from './words.ts';

/** Parts that the console of a node tells apart; an attached disk only the imager sees. */
const SHOWN: readonly Part[] = PARTS.filter((part) => part !== 'disk');

interface Stretch {
  part: Part;
  from: number;
  to: number;
}

/** An SVG document of its own; marks are numbered as the list of what was done below it. */
export function scenarioSvg(result: ScenarioResult): string {
  const { name, rig, seed, ms, events, actions, ok, failures, error } = result;
  const nodes = [...new Set(events.flatMap(({ node }) => (node === undefined ? [] : [node])))].sort();
  const bars = nodes.flatMap((node, i) =>
    stretches(
      events.filter((event) => event.node === node),
      ms,
    ).map(
      ({ part, from, to }): PictureBar => ({
        ...{ row: i * SHOWN.length + SHOWN.indexOf(part), from: from / 1000, to: to / 1000 },
        ...{ colour: LOOK[part].colour, title: `${node}, ${LOOK[part].label}: ${seconds(to - from)}` },
      }),
    ),
  );
  const failed = [
    ...failures.map(({ expected, came }) => `expected ${expected}; came ${came}`),
    ...(error === undefined ? [] : [error.split('\n')[0]!]),
  ];
  return pictureSvg({
    title: `${name} (${rig}, seed ${seed})`,
    rows: nodes.flatMap((node) =>
      SHOWN.map((part) => (nodes.length === 1 ? LOOK[part].label : `${node} ${LOOK[part].label}`)),
    ),
    bars,
    marks: actions.map(({ at }, i) => ({ at: at / 1000, label: String(i + 1) })),
    flag: { at: ms / 1000, label: ok ? 'passed' : 'failed' },
    notes: [...actions.map(({ at, words }, i) => `${i + 1}  ${seconds(at)}  ${words}`), ...failed],
    end: Math.max(ms / 1000, 1),
  });
}

/** From the events of one node: what it did when. A node that is ready or off does nothing. */
function stretches(events: readonly RigEvent[], end: number): Stretch[] {
  const all: Stretch[] = [];
  let open: Stretch | undefined;
  const begin = (part: Part | undefined, at: number) => {
    if (open !== undefined && at > open.from) all.push({ ...open, to: at });
    open = part === undefined ? undefined : { part, from: at, to: at };
  };
  for (const event of events) {
    if (event.kind !== 'step') continue;
    const key = `${event.component} ${event.step}`;
    if (key === 'rig power-on') begin('reboot', event.at);
    else if (key === 'rig off' || key === 'agent ready') begin(undefined, event.at);
    else if (BEGINS[key] !== undefined) {
      // Waiting for services looks like configuring until they are up.
      if (key === 'agent services' && open !== undefined) open.part = 'services';
      begin(BEGINS[key], event.at);
    }
  }
  begin(undefined, end);
  return all;
}
