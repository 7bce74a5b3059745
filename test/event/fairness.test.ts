import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { domain } from '../../src/event/index.js';
import { type Channel, configure, type WaitingMode } from '../../src/index.js';
import { agentInProcess } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

afterEach(() => configure({ waiting: 'adaptive' }));

test.each<WaitingMode>(['park', 'adaptive', 'spin'])(
  'timers, sockets and other channels have their turns beside a flood of messages: %s',
  async (waiting) => {
    configure({ waiting });
    const agent = await open.start(agentInProcess);
    const flood = agent.start(
      async (channel: Channel, { told, turn }) => {
        let isOver = false;
        void told().then(() => {
          isOver = true;
        });
        while (!isOver) {
          while (channel.send(new Uint8Array(1000)));
          await channel.drained();
          await turn();
        }
        await channel.end();
      },
      { role: 'bind', name: 'flood' },
    );
    const quiet = agent.start(
      async (channel: Channel, { closed }) => {
        channel.handle((request) => request);
        await closed(channel);
      },
      { role: 'bind', name: 'quiet' },
    );
    await Promise.all([flood.bound, quiet.bound]);
    const flooded = await open.connect('flood');
    let received = 0;
    flooded.on('message', () => received++);
    const asked = await open.connect('quiet');
    const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = createConnection((server.address() as { port: number }).port, '127.0.0.1');
    for (let i = 0; i < 30; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      socket.write('x');
      await once(socket, 'data');
      expect(`${await asked.request(`${i}`)}`).toBe(`${i}`);
    }
    expect(received).toBeGreaterThan(1000);
    flood.tell();
    await flood.result;
    socket.destroy();
    server.close();
  },
);

test.each<WaitingMode>(['park', 'adaptive', 'spin'])(
  'a link that always has work starves nobody: %s',
  async (waiting) => {
    configure({ waiting });
    let polls = 0;
    const busy = { poll: () => ++polls > 0, sleep: () => false, isReferenced: true };
    domain.activate(busy);
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setImmediate(resolve));
      await readFile('/proc/self/stat');
    }
    domain.deactivate(busy);
    expect(polls).toBeGreaterThan(10);
  },
);

describe.each<WaitingMode>(['park', 'adaptive'])(
  'an error that the application throws stops nothing: %s',
  (waiting) => {
    /** Throws at each message, at drain and at the end. @returns what was caught by the time of the close */
    async function throwing(way: 'listener' | 'consumer'): Promise<string[]> {
      const agent = await open.start(agentInProcess);
      agent.configure({ waiting });
      const run = agent.start(
        (channel: Channel, { args }) =>
          new Promise<string[]>((resolve) => {
            const caught: string[] = [];
            const fail = (what: Buffer | string) => {
              throw new Error(Buffer.from(what).toString());
            };
            process.on('uncaughtException', (error) => caught.push(error.message));
            if (args === 'listener') channel.on('message', fail);
            else channel.consume(fail);
            channel.on('drain', () => fail('drain'));
            channel.on('end', () => fail('end'));
            channel.on('close', () => resolve(caught));
            while (channel.send(new Uint8Array(500)));
          }),
        { role: 'bind', name: 'name', args: way, options: { ringSize: 4096 } },
      );
      await run.bound;
      const channel = await open.connect('name', { ringSize: 4096 });
      for (const message of ['1', '2', '3']) {
        channel.send(message);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      for (const message of ['4', '5', '6']) channel.send(message);
      await new Promise((resolve) => setTimeout(resolve, 5));
      channel.on('message', () => undefined);
      await channel.end();
      return run.result;
    }

    test('by a listener', async () => {
      const caught = await throwing('listener');
      expect(caught.filter((what) => what !== 'drain')).toEqual(['1', '2', '3', '4', '5', '6', 'end']);
      expect(caught).toContain('drain');
    });

    test('by a consumer', async () => {
      const caught = await throwing('consumer');
      expect(caught.filter((what) => what !== 'drain')).toEqual(['1', '2', '3', '4', '5', '6', 'end']);
      expect(caught).toContain('drain');
    });
  },
);
