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
  const received: string[] = [];
  const kept: Buffer[] = [];
  const take = () => kept.push(receiving.receiveSync(0) as Buffer);
  const controller = new AbortController();
  const aborted = new Promise<void>((resolve) => {
    asked.handle(async (_request, { signal }) => {
      signal.addEventListener('abort', () => {
        take();
        take();
        received.push(...kept.map(String));
        resolve();
      });
      started();
      await new Promise(() => undefined);
    });
  });
  let started = () => undefined as unknown;
  const isStarted = new Promise((resolve) => {
    started = () => resolve(undefined);
  });
  const request = asking.request('', { signal: controller.signal }).catch(() => undefined);
  await isStarted;
  await asleep();
  // Both are there when the abort is read.
  sending.send('B'.repeat(40));
  sending.send('b'.repeat(40));
  controller.abort();
  await aborted;
  for (let i = 0; i < 4; i++) sending.send('C'.repeat(40));
  await published();
  for (let i = 0; i < 4; i++) take();
  await request;
  expect(received).toEqual(['B'.repeat(40), 'b'.repeat(40)]);
  expect(kept.map(String)).toEqual([...received, ...Array(4).fill('C'.repeat(40))]);
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
