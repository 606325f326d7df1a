/** Flashing over the serial protocol in virtual time: clean lines, noisy lines, nodes that are reset or locked. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import { PointerStore } from '../../agent/protocol/pointer/store.ts';
import { encodeUbootSlot, UBOOT_SLOT_SIZE, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { SerialFailure } from '../../imager/serial/failure.ts';
import type { Progress } from '../../imager/serial/progress.ts';
import { flash, recover, show, type Target, verify, withNode } from '../../imager/serial/work.ts';
import { UID, VirtualLine } from './virtual-line.ts';

const REACH = { withinMs: 10_000, uboot: true };
const TARGET: Target = { image: 'debian-12', disks: ['n1-root'], imagers: ['10.77.0.1'], cluster: 'demo' };

function flashing(target: Target, changes: { again?: boolean; dryRun?: boolean; reset?: boolean } = {}) {
  const options = { again: false, dryRun: false, reset: false, deployment: 'd1', ...changes };
  return (line: VirtualLine, tell?: (progress: Progress) => void) =>
    line.run(
      (state) => withNode(state, REACH, (end) => flash(end, { ...options, target: () => target })),
      tell,
    );
}

function stored(line: VirtualLine, layout: PointerLayout = ubootEnv) {
  const image = line.image;
  return new PointerStore(layout, { read: (at, n) => image.slice(at, at + n), write() {} }).read();
}

function factory(layout: PointerLayout): Uint8Array {
  const stub = resolve(import.meta.dirname, '../../firmware-stubs/ipxe/eeprom.ipxe');
  return layout === ipxeScript ? new Uint8Array(readFileSync(stub)) : new Uint8Array(layout.size);
}

function failure(outcome: { kind: string; error?: unknown }): SerialFailure {
  expect(outcome).toMatchObject({ kind: 'failed' });
  expect(outcome.error).toBeInstanceOf(SerialFailure);
  return outcome.error as SerialFailure;
}

describe('a clean line', () => {
  it.each([9600, 115_200, 921_600])('flashes at %i baud, and says how far it is', (baud) => {
    const line = new VirtualLine({ baud });
    const seen: Progress[] = [];
    const outcome = flashing(TARGET)(line, (progress) => seen.push(progress));
    expect(outcome).toMatchObject({
      kind: 'done',
      value: { identity: { uid: UID, via: 'frames' }, old: null, outcome: 'written', pointer: TARGET },
    });
    expect(stored(line).pointer).toMatchObject({ ...TARGET, phase: 'deploy', attempts: 3, sequence: 1 });
    const steps = seen.map(({ step }) => step).filter((step, i, all) => step !== all[i - 1]);
    expect(steps).toEqual(['found', 'reading', 'writing', 'sending', 'checking', 'verified']);
  });

  it('the iPXE layout: the slot first, its digit last', () => {
    const line = new VirtualLine({ layout: ipxeScript, image: factory(ipxeScript) });
    expect(flashing(TARGET)(line)).toMatchObject({ kind: 'done' });
    expect(stored(line, ipxeScript).pointer).toMatchObject(TARGET);
  });

  it.each([
    ['a 24C02', eepromLayout(256)],
    ['a 24C64', eepromLayout(8192)],
    ['UEFI variables', slotPair('efivars', LARGEST_SLOT)],
  ])('binary slots: %s', (_what, layout) => {
    const line = new VirtualLine({ layout, image: new Uint8Array(layout.size).fill(0xff) });
    expect(flashing(TARGET)(line)).toMatchObject({ kind: 'done', value: { outcome: 'written' } });
    expect(flashing({ ...TARGET, image: 'beta' })(line)).toMatchObject({ kind: 'done' });
    expect(stored(line, layout).pointer).toMatchObject({ image: 'beta' });
    if (layout.size > 256) return;
    const error = failure(flashing({ ...TARGET, disks: Array(8).fill('d'.repeat(63)) })(line));
    expect(error).toMatchObject({ kind: 'refused', message: expect.stringContaining('a slot here has 128') });
  });

  it('is safe to repeat: the second flash writes nothing, one of another image does', () => {
    const line = new VirtualLine();
    flashing(TARGET)(line);
    const written = line.node.written;
    expect(flashing(TARGET)(line)).toMatchObject({ value: { outcome: 'kept', pointer: { sequence: 1 } } });
    expect(line.node.written).toBe(written);
    const again = flashing({ ...TARGET, image: 'beta' })(line);
    expect(again).toMatchObject({ value: { outcome: 'written', old: { image: 'debian-12', sequence: 1 } } });
    expect(stored(line)).toMatchObject({ active: 1, pointer: { image: 'beta', sequence: 2 } });
  });

  it('a dry run says what it would write, and writes nothing', () => {
    const line = new VirtualLine();
    const outcome = flashing(TARGET, { dryRun: true })(line);
    expect(outcome).toMatchObject({ value: { outcome: 'planned', pointer: { ...TARGET, sequence: 1 } } });
    expect(line.node.written).toBe(0);
  });

  it('resets the node where asked to', () => {
    const line = new VirtualLine();
    flashing(TARGET, { reset: true })(line);
    expect(line.node.starts).toBe(2);
  });

  it('a target with faults is refused before anything is written', () => {
    const line = new VirtualLine();
    const error = failure(flashing({ ...TARGET, image: '../x' })(line));
    expect(error).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('"../x" is not a name'),
    });
    expect(line.node.written).toBe(0);
  });

  it('a locked node shows its pointer and takes none', () => {
    const image = new Uint8Array(ubootEnv.size);
    const open = new VirtualLine({ image });
    flashing(TARGET)(open);
    const line = new VirtualLine({ image, locked: true });
    expect(failure(flashing({ ...TARGET, image: 'beta' })(line)).kind).toBe('locked');
    const shown = line.run((state) => withNode(state, REACH, (end) => show(end, { log: true })));
    expect(shown).toMatchObject({
      value: {
        identity: { locked: true },
        view: { pointer: TARGET },
        log: 'bootwright: firmware start\r\n',
      },
    });
  });
});

describe('verify and recover', () => {
  it('verify names each difference', () => {
    const line = new VirtualLine();
    const verifying = (expected: Partial<Target>) =>
      line.run((state) => withNode(state, REACH, (end) => verify(end, () => expected)));
    expect(failure(verifying({})).message).toBe('no usable boot pointer: slot 0 is empty; slot 1 is empty');
    flashing(TARGET)(line);
    expect(verifying(TARGET)).toMatchObject({ kind: 'done', value: { pointer: TARGET } });
    expect(failure(verifying({ image: 'beta', disks: ['a', 'b'] }))).toMatchObject({
      kind: 'verify',
      message: 'image is debian-12, not beta; disks is n1-root, not a,b',
    });
  });

  const recovering = (line: VirtualLine, remembered?: Target, previous = false) =>
    line.run((state) =>
      withNode(state, REACH, (end) =>
        recover(end, {
          remembered: (uid, wanted = () => true) => {
            if (remembered === undefined || uid !== UID) return undefined;
            const state = { deployment: 'd0', phase: 'ready' as const, attempts: 0, fallback: '' };
            const pointer = { ...remembered, ...state, sequence: 9 };
            return wanted(pointer) ? pointer : undefined;
          },
          ...{ previous, dryRun: false, reset: false },
        }),
      ),
    );

  it('a sound pointer stays', () => {
    const line = new VirtualLine();
    flashing(TARGET)(line);
    const written = line.node.written;
    expect(recovering(line, { ...TARGET, image: 'beta' })).toMatchObject({ value: { outcome: 'kept' } });
    expect(line.node.written).toBe(written);
  });

  it('the record before, where asked for', () => {
    const line = new VirtualLine();
    expect(failure(recovering(line, undefined, true)).kind).toBe('refused');
    flashing(TARGET)(line);
    flashing({ ...TARGET, image: 'beta' })(line);
    expect(recovering(line, undefined, true)).toMatchObject({ value: { outcome: 'written' } });
    expect(stored(line).pointer).toMatchObject({ image: 'debian-12', sequence: 3 });
  });

  it('the record before, where an attempt was counted into its slot: what is remembered of another target', () => {
    const counted = () => {
      const image = new Uint8Array(ubootEnv.size);
      for (const [slot, attempts] of [3, 2].entries()) {
        const state = { deployment: 'd1', phase: 'deploy' as const, attempts, fallback: '' };
        image.set(encodeUbootSlot({ ...TARGET, ...state, sequence: slot + 1 }), slot * UBOOT_SLOT_SIZE);
      }
      return new VirtualLine({ image });
    };
    for (const remembered of [undefined, TARGET]) {
      const line = counted();
      expect(failure(recovering(line, remembered, true))).toMatchObject({
        kind: 'refused',
        message: expect.stringContaining('both slots name the same image, debian-12'),
      });
      expect(line.node.written).toBe(0);
    }
    const line = counted();
    expect(recovering(line, { ...TARGET, image: 'beta' }, true)).toMatchObject({
      value: { outcome: 'written', old: { image: 'debian-12' }, pointer: { image: 'beta', attempts: 3 } },
    });
  });

  it('a node with nothing gets what is remembered of it, with fresh attempts', () => {
    const line = new VirtualLine();
    expect(failure(recovering(line)).message).toContain('flash it anew');
    expect(recovering(line, TARGET)).toMatchObject({ value: { outcome: 'written', old: null } });
    expect(stored(line).pointer).toMatchObject({ ...TARGET, attempts: 3, phase: 'ready' });
  });
});

describe('a line that is bad', () => {
  it('1,000 flashes with one byte in a hundred wrong and the console talking: all verified, none wrong', () => {
    const image = new Uint8Array(ubootEnv.size);
    let wrong = 0;
    let verified = 0;
    for (let i = 0; i < 1000; i++) {
      const baud = [9600, 115_200, 921_600][i % 3]!;
      const line = new VirtualLine({ seed: i + 1, noise: 0.01, baud, image, chatterMs: 120 });
      const target = { ...TARGET, image: `image-${i}`, disks: [`n${i}-root`, `n${i}-data`] };
      const outcome = flashing(target)(line);
      if (outcome.kind === 'failed') throw outcome.error;
      if (outcome.value.outcome === 'written' && outcome.value.pointer.image === target.image) verified++;
      expect(stored(line).pointer).toMatchObject({ ...target, sequence: i + 1 });
      wrong += line.toNode.wrong + line.fromNode.wrong;
    }
    expect(verified).toBe(1000);
    // The noise was there.
    expect(wrong).toBeGreaterThan(10_000);
  }, 60_000);

  it('a node that is reset in the middle is spoken to anew, and flashed', () => {
    const line = new VirtualLine();
    let resets = 0;
    const outcome = flashing(TARGET)(line, ({ step }) => {
      if ((step === 'sending' || step === 'checking') && resets < 2) {
        resets++;
        line.node.start();
      }
    });
    expect(outcome).toMatchObject({ kind: 'done', value: { outcome: 'written' } });
    expect(resets).toBe(2);
    expect(stored(line).pointer).toMatchObject(TARGET);
  });

  it.each(['reading', 'sending', 'checking'])(
    'power cut while %s: pulled, and a sound pointer stays',
    (when) => {
      const line = new VirtualLine();
      flashing(TARGET)(line);
      const error = failure(
        flashing({ ...TARGET, image: 'beta' })(line, ({ step }) => {
          if (step === when) line.node.cutPower();
        }),
      );
      expect(error).toMatchObject({ kind: 'pulled', message: expect.stringContaining('cable') });
      expect(stored(line).pointer?.image).toBe(when === 'checking' ? 'beta' : 'debian-12');
      // And the next attempt succeeds.
      line.node.start();
      const again = flashing({ ...TARGET, image: 'beta' })(line);
      expect(again).toMatchObject({ kind: 'done' });
    },
  );

  it.each([ubootEnv, ipxeScript])(
    'power cut at any byte of the store, $name: the old or the new pointer',
    (layout) => {
      const first = new VirtualLine({ layout, image: factory(layout) });
      flashing(TARGET)(first);
      const before = first.node.written;
      const found = { 'debian-12': 0, beta: 0 };
      const probe = new VirtualLine({ layout, image: first.image.slice() });
      flashing({ ...TARGET, image: 'beta' })(probe);
      for (
        let cut = 0;
        cut <= probe.node.written;
        cut += cut < 400 || cut > probe.node.written - 8 ? 1 : 61
      ) {
        const line = new VirtualLine({ layout, image: first.image.slice() });
        line.node.cutAfter = cut;
        const outcome = flashing({ ...TARGET, image: 'beta' })(line);
        if (cut < before) expect(failure(outcome).kind).toBe('pulled');
        const image = stored(line, layout).pointer?.image as keyof typeof found;
        expect(Object.keys(found)).toContain(image);
        found[image]++;
        // And the next attempt succeeds on what was left behind.
        line.node.cutAfter = Number.POSITIVE_INFINITY;
        line.node.start();
        if (cut % 16 === 0)
          expect(flashing({ ...TARGET, image: 'beta' })(line)).toMatchObject({ kind: 'done' });
      }
      expect(found['debian-12']).toBeGreaterThan(100);
      expect(found.beta).toBeGreaterThan(0);
    },
  );

  it('says that nothing came, that somebody talks, or that it is no text', () => {
    const silent = new VirtualLine();
    silent.fromNode.take(Number.POSITIVE_INFINITY);
    silent.node.cutPower();
    expect(failure(flashing(TARGET)(silent))).toMatchObject({
      kind: 'unanswered',
      message: expect.stringContaining('nothing came within 10 s'),
    });

    const talking = new VirtualLine();
    talking.fromNode.put(new TextEncoder().encode('Debian GNU/Linux\r\nn1 login: '), 0);
    talking.node.cutPower();
    expect(failure(flashing(TARGET)(talking))).toMatchObject({
      kind: 'unanswered',
      message: expect.stringContaining('the console says "n1 login:"'),
    });

    const garbled = new VirtualLine();
    garbled.fromNode.put(
      Uint8Array.from({ length: 60 }, (_, i) => 0x80 | (i * 37)),
      0,
    );
    garbled.node.cutPower();
    expect(failure(flashing(TARGET)(garbled)).kind).toBe('garbled');
  });

  it('says that the node runs where its terminal echoes what is typed', () => {
    // As Linux echoes in canonical mode: control characters in caret notation, a rubbed out one as BS, blank, BS.
    const echoOf = (byte: number) =>
      byte === 0x7f ? '\b \b' : byte < 0x20 && byte !== 0x0a ? `^${String.fromCharCode(byte + 0x40)}` : byte;
    const running = new VirtualLine();
    running.node.receive = (bytes) => {
      const echo = [...bytes]
        .map(echoOf)
        .flatMap((it) => (typeof it === 'number' ? it : [...Buffer.from(it)]));
      running.fromNode.put(Uint8Array.from(echo), running.now);
    };
    expect(failure(flashing(TARGET)(running))).toMatchObject({
      kind: 'unanswered',
      message: expect.stringContaining('the node runs, and says again what is typed'),
    });
    // Another baud rate makes no echo.
    const wrong = new VirtualLine();
    wrong.node.receive = (bytes) =>
      wrong.fromNode.put(
        bytes.map((byte) => (byte * 37) | 0x80),
        wrong.now,
      );
    expect(failure(flashing(TARGET)(wrong)).kind).toBe('garbled');
  });
});
