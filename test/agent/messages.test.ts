/** The agent protocol: messages survive the wire, damage is refused with the field's name. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeFrame,
  FrameError,
  FrameReader,
  MAX_AGENT_FRAME,
  MAX_FRAME,
} from '../../agent/protocol/frame.ts';
import {
  MessageError,
  parseAgentMessage,
  parseImagerMessage,
  parsePlan,
} from '../../agent/protocol/messages.ts';
import { OUTPUT_BYTES } from '../../agent/protocol/output.ts';
import { FROM_AGENT, FROM_IMAGER } from './sample-messages.ts';

describe('messages', () => {
  it('golden frame: length, then CBOR (RFC 8949)', () => {
    expect(Buffer.from(encodeFrame({ type: 'pong' })).toString('hex')).toBe(
      [
        '0000000d', // payload length, big-endian
        'b90001', // map of one pair (two-byte count, as cbor-x writes it)
        '6474797065', // "type"
        '64706f6e67', // "pong"
      ].join(''),
    );
  });

  it('all of them survive the wire in pieces of any size', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 }), (sizes) => {
        const [said, heard] = [Object.values(FROM_AGENT), Object.values(FROM_IMAGER)];
        const bytes = Buffer.concat([...said, ...heard].map((message) => encodeFrame(message)));
        const reader = new FrameReader();
        const got: unknown[] = [];
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length]!;
          got.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(got.slice(0, said.length).map(parseAgentMessage)).toEqual(said);
        expect(got.slice(said.length).map(parseImagerMessage)).toEqual(heard);
      }),
    );
  });

  it('names the field that is wrong', () => {
    const { hello } = FROM_AGENT;
    expect(() => parseAgentMessage({ ...hello, macs: 5 })).toThrow(/^macs: /);
    expect(() => parseAgentMessage({ ...hello, pointer: { ...hello.pointer, phase: 'x' } })).toThrow(
      /^pointer.phase: /,
    );
    expect(() => parseImagerMessage({ type: 'boo' })).toThrow(MessageError);
    expect(() => parseImagerMessage(null)).toThrow(MessageError);
  });

  it('a plan of before scripts had policies is one whose scripts run once and are tried again', () => {
    const script = { name: '10-a', stage: 1, content: '', timeoutSeconds: 5 };
    const plan = { deployment: 'd1', secondReboot: true, scripts: [script] };
    const services = { init: ['/sbin/init'], ports: [], timeoutSeconds: 60 };
    expect(parsePlan({ ...plan, services }).scripts).toEqual([
      { ...script, run: 'once', onFailure: 'retry' },
    ]);
  });

  it.each([
    { setMac: '01:00:5e:00:00:01' },
    { setMac: '02:00:00:00:00:0A' },
    { mac: '00:00:00:00:00:00' },
    { network: { address: '10.0.0.256', prefix: 24 } },
    { network: { address: '10.0.0.9', prefix: 33 } },
    { network: { address: '10.0.0.9', prefix: 24, gateway: 'router' } },
  ])('a setting that no adapter can have is refused: %j', (setting) => {
    const { plan } = FROM_IMAGER.welcome;
    expect(() => parsePlan({ ...plan, adapters: [setting] })).toThrow(/^adapters\.0\./);
  });

  it.each([
    { script: '../x' },
    { script: '' },
    { script: 'a.new' },
    { output: 'x'.repeat(OUTPUT_BYTES + 1) },
    { stage: 3 },
  ])('an output that could not be one is refused: %j', (change) => {
    const { output } = FROM_AGENT;
    expect(() => parseAgentMessage({ ...output, ...change })).toThrow(MessageError);
  });

  it('the longest output fits a frame of an agent', () => {
    const { output } = FROM_AGENT;
    const longest = { ...output, script: 's'.repeat(63), output: 'x'.repeat(OUTPUT_BYTES) };
    const [message] = new FrameReader(MAX_AGENT_FRAME).push(encodeFrame(longest));
    expect(parseAgentMessage(message)).toEqual(longest);
  });

  it('an over-long frame is refused before it is buffered, whatever bytes come nothing else is thrown', () => {
    const announced = Buffer.alloc(4);
    announced.writeUInt32BE(MAX_FRAME + 1);
    expect(() => new FrameReader().push(announced)).toThrow(FrameError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), (payload) => {
        const frame = Buffer.concat([Buffer.from([0, 0, 0, payload.length]), payload]);
        try {
          for (const value of new FrameReader().push(frame)) parseAgentMessage(value);
        } catch (error) {
          expect(error instanceof FrameError || error instanceof MessageError).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a tag: shared value', 'd81c80', 'tag at byte 0'],
    ['a tag: packed prefix', 'd833828080', 'tag at byte 0'],
    ['a tag: bignum', '81c24401020304', 'tag at byte 1'],
    ['an indefinite length', '9f01ff', 'indefinite length at byte 0'],
    ['an unassigned simple value', 'f0', 'simple value 16 at byte 0'],
    ['more items than bytes', '9affffffff00', 'it ends early'],
    ['a length of 64 bits', '5bffffffffffffffff', 'it ends early'],
    ['nothing', '', 'it ends early'],
    ['something after its end', '0101', '1 bytes after its end'],
    ['deep nesting', `${'81'.repeat(40)}01`, 'nested more than 16 deep'],
  ])('refuses CBOR that the protocol does not use before it is decoded: %s', (_name, hex, fault) => {
    const payload = Buffer.from(hex, 'hex');
    const frame = Buffer.concat([Buffer.from([0, 0, 0, payload.length]), payload]);
    expect(() => new FrameReader().push(frame)).toThrow(`not CBOR of this protocol: ${fault}`);
  });

  it('what the encoder writes is never refused', () => {
    const value = fc.letrec((tie) => ({
      leaf: fc.oneof(
        fc.string(),
        fc.double({ noNaN: true }).map((number) => number || 0),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
      ),
      tree: fc.oneof(
        { maxDepth: 5 },
        tie('leaf'),
        fc.array(tie('tree'), { maxLength: 5 }),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('tree'), { maxKeys: 5 }),
      ),
    })).tree;
    fc.assert(
      fc.property(value, (sent) => {
        const [got] = new FrameReader().push(encodeFrame(sent));
        expect(got).toEqual(sent);
      }),
    );
  });

  it('an agent may not announce what only an imager sends', () => {
    const announced = Buffer.alloc(4);
    announced.writeUInt32BE(MAX_AGENT_FRAME + 1);
    expect(() => new FrameReader(MAX_AGENT_FRAME).push(announced)).toThrow(FrameError);
    expect(new FrameReader().push(announced)).toEqual([]);
  });
});
