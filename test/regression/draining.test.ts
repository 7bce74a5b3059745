import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { agentInProcess } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, published } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();
const far = { ringSize: 4096 };

function fill(channel: Channel): void {
  while (channel.send(Buffer.alloc(500)));
}

test('drained() and drain come although a later send, and no turn, put into the ring what waited', async () => {
  const [near, other] = await open.pair({ far });
  fill(near);
  const drained = Promise.all([near.drained(), once(near, 'drain')]);
  await asleep();
  // All in one turn: there is room, and the sender does not know yet.
  for (let i = 0; i < 4; i++) other.receiveSync(0);
  expect(near.send('flushes')).toBe(true);
  await drained;
});

test('drained() and drain come although a smaller reservation succeeds after the one that was refused', async () => {
  const [near, other] = await open.pair({ far });
  while (near.reserve(1000) !== null) near.commit();
  const drained = Promise.all([near.drained(), once(near, 'drain')]);
  expect(near.reserve(8)).not.toBeNull();
  near.commit();
  await asleep();
  other.on('message', () => undefined);
  await drained;
  // The smaller one has made it forget how much room the larger one needs.
  while (near.reserve(1000) === null) await near.drained();
  near.commit();
});

test('drained() and drain come although a consumer throws in the turn that made room', async () => {
  const agent = await open.start(agentInProcess);
  const run = agent.start(
    async (_, { shmloop, keep, once, turn }) => {
      const server = keep(await shmloop.bind('name', { ringSize: 4096 }));
      const near = keep(await shmloop.connect('name'));
      const other = keep((await server[Symbol.asyncIterator]().next()).value as Channel);
      const thrown = new Promise<Error>((resolve) => process.once('uncaughtException', resolve));
      near.consume(() => {
        throw new Error('of the consumer');
      });
      while (near.send(new Uint8Array(500)));
      const drained = Promise.all([near.drained(), once(near, 'drain')]);
      for (let i = 0; i < 50; i++) await turn();
      // Both in one turn: room for what waits, and a message to throw at.
      for (let i = 0; i < 4; i++) other.receiveSync(0);
      other.send('x');
      const { message } = await thrown;
      await drained;
      return message;
    },
    { role: 'none' },
  );
  expect(await run.result).toBe('of the consumer');
});

test('what is sent from the drain of a turn in which a smaller send flushed is delivered in order', async () => {
  const [near, other] = await open.pair({ far });
  fill(near);
  const received: string[] = [];
  near.once('drain', () => near.send('third'));
  await published();
  for (let i = 0; i < 4; i++) other.receiveSync(0);
  near.send('second');
  other.on('message', (message) => received.push(message.toString()));
  while (received.at(-1) !== 'third') await once(other, 'message');
  expect(received.slice(-2)).toEqual(['second', 'third']);
});
