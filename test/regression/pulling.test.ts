import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, published } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();
const timeout = 1000;

type Pull = (channel: Channel) => Promise<string | undefined>;

async function next(channel: Channel): Promise<string | undefined> {
  for await (const message of channel) return message.toString();
  return undefined;
}

const receiveSync: Pull = async (channel) => channel.receiveSync(timeout)?.toString();

describe.each([
  ['next()', next],
  ['receiveSync()', receiveSync],
])('%s', (_name, pull) => {
  test('takes a message, and the request before it is handled', async () => {
    const [near, far] = await open.pair();
    far.handle((request) => `handled ${request}`);
    await asleep();
    const reply = near.request('x', { timeout });
    near.send('behind it');
    await published();
    expect(await pull(far)).toBe('behind it');
    expect(`${await reply}`).toBe('handled x');
  });

  test('takes a message, and the request behind it is handled', async () => {
    const [near, far] = await open.pair();
    far.handle((request) => `handled ${request}`);
    await asleep();
    near.send('before it');
    const reply = near.request('x', { timeout });
    await published();
    expect(await pull(far)).toBe('before it');
    expect(`${await reply}`).toBe('handled x');
  });

  test('takes a message, and the end behind it ends the channel', async () => {
    const [near, far] = await open.pair();
    let ends = 0;
    far.on('end', () => ends++);
    await asleep();
    near.send('last');
    await near.end();
    expect(await pull(far)).toBe('last');
    expect(await Promise.all([closed(near), closed(far)])).toEqual([undefined, undefined]);
    expect(ends).toBe(1);
  });

  test('takes a message, and a reply that came with it is its request’s', async () => {
    const [near, far] = await open.pair();
    const handled = new Promise<() => void>((resolve) => {
      far.handle(() => new Promise<void>((answer) => resolve(answer)));
    });
    const reply = near.request('x', { timeout });
    const answer = await handled;
    await asleep();
    answer();
    far.send('message');
    await published();
    expect(await pull(near)).toBe('message');
    expect((await reply).length).toBe(0);
  });
});

test('one who asks for the next message while another waits does not get it before', async () => {
  const [near, far] = await open.pair();
  const iterator = far[Symbol.asyncIterator]();
  const first = iterator.next();
  await asleep();
  near.send('1');
  near.send('2');
  await published();
  const second = iterator.next();
  expect([`${(await first).value}`, `${(await second).value}`]).toEqual(['1', '2']);
});
