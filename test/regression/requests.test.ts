import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, published, turn } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();

test('what an abort listener receives on another channel stays as it was', async () => {
  const server = await open.bind('name');
  const [asking, sending] = [await open.connect('name'), await open.connect('name')];
  const [asked, receiving] = [await open.accept(server), await open.accept(server)];
  const controller = new AbortController();
  const kept: Buffer[] = [];
  const take = (count: number) => {
    for (let i = 0; i < count; i++) kept.push(receiving.receiveSync(0) as Buffer);
  };
  let asHeard: string[] = [];
  const signal = new Promise<AbortSignal>((resolve) => {
    asked.handle((_request, context) => {
      resolve(context.signal);
      return new Promise(() => undefined);
    });
  });
  const request = asking.request('', { signal: controller.signal }).catch(() => undefined);
  const heard = once(await signal, 'abort');
  (await signal).addEventListener('abort', () => {
    take(2);
    asHeard = kept.map(String);
  });
  await asleep();
  // Both are there when the abort is read.
  sending.send('B'.repeat(40));
  sending.send('b'.repeat(40));
  controller.abort();
  await Promise.all([heard, request]);
  for (let i = 0; i < 4; i++) sending.send('C'.repeat(40));
  await published();
  take(4);
  expect(asHeard).toEqual(['B'.repeat(40), 'b'.repeat(40)]);
  expect(kept.map(String)).toEqual([...asHeard, ...Array(4).fill('C'.repeat(40))]);
});

describe('a large reply to a request that was given up', () => {
  const LENGTH = 600_000;

  /** A request whose reply is under way. */
  async function replying(near: Channel, far: Channel): Promise<AbortController> {
    const controller = new AbortController();
    const handled = new Promise<(reply: Buffer) => void>((resolve) => {
      far.handle(() => new Promise<Buffer>((answer) => resolve(answer)));
    });
    near.request('', { signal: controller.signal }).catch(() => undefined);
    const answer = await handled;
    await asleep();
    answer(Buffer.alloc(LENGTH));
    return controller;
  }

  /** Not even the end came where the reply was stuck, and nobody takes messages. */
  async function expectToEnd(near: Channel, far: Channel): Promise<void> {
    await near.end();
    expect(await Promise.all([closed(near), closed(far)])).toEqual([undefined, undefined]);
  }

  test('before any of it was read does not hold up the end behind it', async () => {
    const [near, far] = await open.pair({ near: { ringSize: 4096 } });
    const controller = await replying(near, far);
    await published();
    controller.abort();
    await expectToEnd(near, far);
  });

  test('when the first parts of it were read does not hold up the end behind it', async () => {
    const [near, far] = await open.pair({ near: { ringSize: 4096 } });
    const controller = await replying(near, far);
    await turn();
    controller.abort();
    await expectToEnd(near, far);
  });

  test('does not hold up a message behind it', async () => {
    const [near, far] = await open.pair({ near: { ringSize: 4096 } });
    const controller = await replying(near, far);
    await published();
    controller.abort();
    far.send('behind it');
    await far.drained();
    expect(`${(await once(near, 'message'))[0]}`).toBe('behind it');
  });
});

test.each<[string, () => unknown]>([
  ['a message that is no text', () => Object.assign(new Error(), { message: 10n })],
  ['a code that throws', () => Object.defineProperty(new Error(), 'code', { get: () => expect.unreachable() })],
  ['traps that throw', () => new Proxy({}, { get: () => expect.unreachable(), getPrototypeOf: () => null })],
])('an error of the handler with %s is one for who asked', async (_, thrown) => {
  const [near, far] = await open.pair();
  far.handle(() => Promise.reject(thrown()));
  await expect(near.request('x')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_REMOTE' });
  expect(far.closed).toBe(false);
});
