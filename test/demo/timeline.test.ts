/** Timelines from events: parts, their order and what is left out. */
import { describe, expect, it } from 'vitest';
import { timelineSvg } from '../../firmware-stubs/demo/svg.ts';
import { breakdownText, rowsText } from '../../firmware-stubs/demo/table.ts';
import { breakdown, timelineOf } from '../../firmware-stubs/demo/timeline.ts';
import type { BootEvent, Component } from '../../imager/journal/event.ts';

const POWER_ON = 1_700_000_000_000;

/** `seconds component step`, one a line. */
function events(text: string): BootEvent[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [seconds, component, step] = line.trim().split(' ');
      return { at: POWER_ON + Number(seconds) * 1000, component: component as Component, step: step! };
    });
}

const TWO_BOOTS = events(`
  -1 dhcp offer
  0 rig power-on
  0.5 firmware start
  0.6 firmware pointer
  0.7 dhcp offer
  0.8 firmware dhcp
  0.81 firmware load
  1.5 firmware boot
  2.5 agent agent
  2.7 agent pointer
  3 nbd attach
  3.25 agent mounted
  3.5 agent reboot
  3.75 firmware start
  4 firmware pointer
  4.1 firmware dhcp
  4.5 firmware boot
  5.5 agent agent
  5.8 nbd attach
  6 agent mounted
  6.2 nbd attach
  7 agent services
  7.5 agent stage2
  8 agent ready
  9 nbd attach
`);

describe('the timeline', () => {
  const timeline = timelineOf(TWO_BOOTS, POWER_ON);

  it('starts at power-on and keeps every row, in the order of time', () => {
    expect(timeline.rows[0]).toEqual({ seconds: 0, component: 'rig', step: 'power-on', detail: '' });
    expect(timeline.rows).toHaveLength(TWO_BOOTS.length - 1);
    expect(timelineOf([...TWO_BOOTS].reverse(), POWER_ON)).toEqual(timeline);
  });

  it('the parts follow one another without gap or overlap', () => {
    expect(timeline.bars.map(({ part, boot, from, to }) => `${boot} ${part} ${from}-${to}`)).toEqual([
      '1 firmware 0-0.6',
      '1 dhcp 0.6-0.8',
      '1 load 0.8-1.5',
      '1 kernel 1.5-2.5',
      '1 agent 2.5-3',
      '1 disk 3-3.25',
      '1 configure 3.25-3.5',
      '2 reboot 3.5-3.75',
      '2 firmware 3.75-4',
      '2 dhcp 4-4.1',
      '2 load 4.1-4.5',
      '2 kernel 4.5-5.5',
      '2 agent 5.5-5.8',
      '2 disk 5.8-6',
      '2 services 6-7',
      '2 configure 7-8',
    ]);
    expect(breakdown(timeline.bars)[1]).toMatchObject({ services: 1, configure: 1 });
  });

  it('tells when disks were mounted and when the node was ready', () => {
    expect(timeline.mounted).toEqual([3.25, 2.5]);
    expect(timeline.ready).toBe(8);
  });

  it('a sequence that never got ready has no such time', () => {
    const cut = timelineOf(TWO_BOOTS.slice(0, 12), POWER_ON);
    expect(cut.ready).toBeUndefined();
    expect(breakdownText(cut)).toContain('power-on to ready, 1 boot: - s');
  });

  it('as text: details without what the row says elsewhere, figures that add up', () => {
    const one: BootEvent = {
      at: POWER_ON + 1234.5,
      component: 'dhcp',
      step: 'ack',
      address: '10.77.0.11',
      reason: 'late',
      detail: { seconds: 3600, boot: 1, file: 'x' },
    };
    expect(rowsText(timelineOf([one], POWER_ON))).toContain(
      '   1.234  dhcp      ack             10.77.0.11 file=x (late)',
    );
    const text = breakdownText(timeline);
    expect(text).toContain('services           -    1.00    1.00');
    expect(text).toContain('total           3.50    4.50    8.00');
    expect(text).toContain('boot 1: 3.25 s, boot 2: 2.50 s');
  });

  it('as a picture: one bar a stretch, well-formed, names escaped', () => {
    const svg = timelineSvg('a < b & c', timeline);
    expect(svg).toContain('a &lt; b &amp; c');
    expect(svg.match(/<rect x=/g)).toHaveLength(timeline.bars.length);
    expect(svg).toContain('ready 8.0 s');
    const open = svg.match(/<(?!\/)[a-z]+[^>]*(?<!\/)>/g)!.length;
    expect(svg.match(/<\/[a-z]+>/g)).toHaveLength(open);
  });
});
