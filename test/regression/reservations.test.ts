import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

async function collect(channel: Channel): Promise<string[]> {
  const all: string[] = [];
  for await (const message of channel) all.push(message.toString());
  return all;
}

test('a slot that is filled when its channel is over changes nothing in the next channel', async () => {
  const server = await open.bind('name');
  const first = await open.connect('name');
  const slot = first.reserve(64);
  const over = closed(first);
  await (await open.accept(server)).close();
  await over;
  const next = await open.connect('name');
  const accepted = await open.accept(server);
  next.send('A'.repeat(64));
  slot?.fill('X');
  const [message] = await once(accepted, 'message');
  expect(`${message}`).toBe('A'.repeat(64));
});

test('the end of `await using` does not wait for a reservation that nobody commits any more', async () => {
  const [near, far] = await open.pair();
  near.send('sent');
  near.reserve(8)?.fill('x');
  await near[Symbol.asyncDispose]();
  expect(near.closed).toBe(true);
  expect(await collect(far)).toEqual(['sent']);
  expect(await closed(far)).toBeUndefined();
});

test('a reservation that is given up sends nothing, and its place is the next message’s', async () => {
  const [near, far] = await open.pair();
  near.cancelReservation();
  near.reserve(100)?.fill('x');
  near.cancelReservation();
  expect(() => near.commit()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_BUSY' }));
  near.send('sent');
  near.reserve(4)?.write('slot');
  near.commit();
  await near.end();
  expect(await collect(far)).toEqual(['sent', 'slot']);
});

test('what waited for a reservation goes when it is given up: replies, the end, and who waits for room', async () => {
  const [near, far] = await open.pair();
  near.handle(() => 'answer');
  near.reserve(8);
  const reply = far.request('', { timeout: 1000 });
  const end = near.end();
  const drained = near.drained();
  near.cancelReservation();
  await Promise.all([end, drained]);
  await expect(reply).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await closed(far)).toBeUndefined();
});
