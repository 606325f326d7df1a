/** The agent's link against an imager's end of real sockets on loopback: connections, and what is said over them. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { ImagerMessage, Step } from '../../agent/protocol/messages.ts';
import { eventually } from '../support/eventually.ts';
import { HELLO, Imager, linked, linkTo, PlainHost, WELCOME } from './imager-end.ts';

const POINTER = {
  sequence: 8,
  image: 'beta',
  disks: ['root'],
  imagers: ['127.0.0.1'],
  cluster: 'one',
  deployment: 'd2',
  phase: 'deploy' as const,
  attempts: 3,
  fallback: '',
};

it('leaves no connection behind where it cannot say who it is', async () => {
  const imager = await Imager.start();
  const host = new PlainHost();
  const broken = () => {
    throw new Error('the store in /dev/vda is damaged');
  };
  const connected = once(imager, 'connection');
  void linkTo([imager], host, {}, broken).serve();
  const [socket] = (await connected) as [Socket];
  socket.resume();
  await once(socket, 'close');
  // It is no imager's matter.
  expect(host.console[0]).toBe('bootwright: the store in /dev/vda is damaged');
});

it('says hello, takes its host name and its plan from the welcome', async () => {
  const { imager, host, link } = await linked();
  const plan = link.plan();
  imager.send(WELCOME);
  expect(await plan).toBeNull();
  expect(host.hostNames).toEqual(['n1.example']);
  expect(await link.plan()).toBeNull();
});

it('reports steps on the console and to the imager, again after a reconnection until acknowledged', async () => {
  const { imager, host, link } = await linked();
  link.report('pointer', { image: 'alpha' });
  link.report('mounted', {});
  imager.send(WELCOME);
  const first = (await imager.take()) as Step;
  expect(first).toMatchObject({ type: 'step', step: 'pointer', detail: { image: 'alpha' } });
  const { seq } = first;
  expect(await imager.take()).toMatchObject({ seq: seq + 1, step: 'mounted' });
  imager.send({ type: 'ack', seq });
  await imager.taken();
  await imager.cut();
  imager.send(WELCOME);
  expect(await imager.take()).toMatchObject({ seq: seq + 1, step: 'mounted' });
  const settled = link.settle(10_000);
  imager.send({ type: 'ack', seq: seq + 1 });
  await settled;
  expect(host.console[0]).toMatch(/^bootwright: step pointer \d+\.\d{3} image=alpha$/);
});

it('tells what a script left while no imager had the node, until that is kept', async () => {
  const { imager, link } = await linked();
  const output = {
    ...{ script: '10-site.sh', deployment: 'd1', bootId: 'b1', stage: 1 as const },
    ...{ code: 0, timedOut: false, began: 1, took: 0.5, output: 'well\n' },
  };
  link.output(output);
  imager.send(WELCOME);
  expect(await imager.take()).toEqual({ type: 'output', ...output });
  await imager.cut();
  imager.send(WELCOME);
  expect(await imager.take()).toEqual({ type: 'output', ...output });
  imager.send({ type: 'kept', script: output.script, bootId: output.bootId });
  await imager.taken();
  await imager.cut();
  link.report('ready', {});
  imager.send(WELCOME);
  expect(await imager.take()).toMatchObject({ step: 'ready' });
});

it('settle ends after its time where nobody acknowledges', async () => {
  const { link } = await linked();
  link.report('reboot', {});
  await link.settle(20);
});

it('answers a flash with the record that was written, a refused one with the reason', async () => {
  let broken = false;
  const { imager } = await linked({
    async flash(request) {
      if (broken) throw new Error('boot pointer not verified');
      return { pointer: { ...POINTER, image: request.image }, former: null };
    },
  });
  const flash: ImagerMessage = {
    type: 'flash',
    request: 4,
    image: 'beta',
    disks: ['root'],
    imagers: ['127.0.0.1'],
    cluster: 'one',
    deployment: 'd2',
  };
  imager.send(WELCOME);
  imager.send(flash);
  expect(await imager.take()).toEqual({ type: 'done', request: 4, pointer: POINTER, former: null });
  broken = true;
  imager.send({ ...flash, request: 5 });
  expect(await imager.take()).toEqual({ type: 'failed', request: 5, why: 'boot pointer not verified' });
});

it('connects anew where it is asked to; the present connection goes on until the new one is welcomed', async () => {
  const { imager, host, link } = await linked();
  imager.send(WELCOME);
  await eventually(() => expect(link.connectedSince).toBeDefined());
  const [before, since] = [imager.socket!, link.connectedSince!];
  const refused = link.renew();
  expect(await imager.take()).toEqual(HELLO);
  imager.send({ type: 'refuse', why: 'not there' });
  expect(await refused).toBe('refused');
  expect(link.connectedSince).toBe(since);

  const renewed = link.renew();
  expect(await imager.take()).toEqual(HELLO);
  link.report('pointer', {});
  expect(await imager.take()).toMatchObject({ step: 'pointer' });
  // As an imager does that has the node twice: the welcome may come after the end of the former connection.
  const gone = once(before, 'close');
  before.end();
  await gone;
  imager.send(WELCOME);
  expect(await renewed).toBe('welcomed');
  expect(link.connectedSince).toBeGreaterThan(since);
  expect(host.console.join()).not.toContain('closed the connection');
  // Said again over the new one.
  expect(await imager.take()).toMatchObject({ step: 'pointer' });
  link.report('mounted', {});
  expect(await imager.take()).toMatchObject({ step: 'mounted' });
});

it('drops a connection that sends something else than messages', async () => {
  const { imager, host } = await linked();
  imager.socket?.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  expect(await imager.take()).toEqual(HELLO);
  expect(host.console[0]).toContain('frame of 4294967295 bytes announced');
});
