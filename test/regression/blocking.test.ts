import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { agentInProcess, closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { published } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();
const timedOut = expect.objectContaining({ code: 'ERR_SHMLOOP_TIMEOUT' });

describe('what was sent in the turn that then blocks in receiveSync() is published', () => {
  async function connectToEcho(): Promise<Channel> {
    const agent = await open.start(agentInProcess);
    const echo = agent.start(
      async (channel: Channel, { closed }) => {
        channel.on('message', (message) => channel.send(message));
        channel.handle((request) => {
          channel.send(request);
          return 'reply';
        });
        await closed(channel);
      },
      { role: 'bind', name: 'name' },
    );
    await echo.bound;
    return open.connect('name');
  }

  test('by send()', async () => {
    const channel = await connectToEcho();
    channel.send('sent');
    expect(`${channel.receiveSync(1000)}`).toBe('sent');
  });

  test('by commit()', async () => {
    const channel = await connectToEcho();
    channel.reserve(4)?.write('slot');
    channel.commit();
    expect(`${channel.receiveSync(1000)}`).toBe('slot');
  });

  test('by request()', async () => {
    const channel = await connectToEcho();
    const reply = channel.request('asked');
    expect(`${channel.receiveSync(1000)}`).toBe('asked');
    expect(`${await reply}`).toBe('reply');
  });
});

test('receiveSync() is over in time although all handlers are at work, and one more request waits', async () => {
  const agent = await open.start(agentInProcess);
  const far = agent.start(
    async (channel: Channel, { told, say, describe }) => {
      let running = 0;
      channel.handle(() => {
        if (++running === 1024) say('full');
        return new Promise(() => undefined);
      });
      await told();
      const started = performance.now();
      try {
        return { message: channel.receiveSync(100)?.toString() };
      } catch (error) {
        return { running, code: describe(error).code, took: performance.now() - started };
      }
    },
    { role: 'bind', name: 'name' },
  );
  await far.bound;
  const channel = await open.connect('name');
  for (let i = 0; i < 1025; i++) channel.request('').catch(() => undefined);
  expect(await far.said()).toBe('full');
  far.tell();
  const result = await far.result;
  expect(result).toMatchObject({ running: 1024, code: 'ERR_SHMLOOP_TIMEOUT' });
  expect(result.took).toBeGreaterThanOrEqual(99);
  expect(result.took).toBeLessThan(1000);
}, 5000);

describe('a time-out of sendSync()', () => {
  /** Fills a ring of 4096 bytes, and leaves nothing waiting for room. */
  async function fill(channel: Channel): Promise<void> {
    for (let i = 0; i < 4; i++) expect(channel.send(Buffer.alloc(1000))).toBe(true);
    await published();
  }

  async function collect(channel: Channel): Promise<string[]> {
    const all: string[] = [];
    for await (const message of channel) if (message.length < 1000) all.push(message.toString());
    return all;
  }

  test('takes its own message back, and not the end that came up behind it', async () => {
    const [near, far] = await open.pair({ near: { ringSize: 4096 } });
    near.send('1');
    near.send('2');
    await near.end();
    await fill(far);
    expect(`${far.receiveSync(0)}`).toBe('1');
    expect(`${far.receiveSync(0)}`).toBe('2');
    expect(() => far.sendSync('not sent'.repeat(50), 30)).toThrow(timedOut);
    expect(await collect(near)).toEqual([]);
    expect(await Promise.all([closed(near), closed(far)])).toEqual([undefined, undefined]);
  });

  test('takes its own message back, and not those before and behind it', async () => {
    const [near, far] = await open.pair({ far: { ringSize: 4096 } });
    await fill(near);
    expect(near.send('before'.padEnd(500))).toBe(false);
    expect(() => near.sendSync('not sent'.repeat(50), 30)).toThrow(timedOut);
    near.send('behind'.padEnd(500));
    void near.end();
    expect((await collect(far)).map((message) => message.trim())).toEqual(['before', 'behind']);
  });

  test('is none once the message is in the ring, although a refused reservation still waits', async () => {
    const agent = await open.start(agentInProcess);
    const far = agent.start(
      async (channel: Channel, { told, delay }) => {
        await told();
        await delay(30); // the sender is blocked by now
        let last = channel.receiveSync();
        await told();
        for await (const message of channel) last = message;
        return `${last}`;
      },
      { role: 'bind', name: 'name', options: { ringSize: 65_536 } },
    );
    await far.bound;
    const channel = await open.connect('name');
    while (channel.send('8 bytes.'));
    await published();
    expect(channel.reserve(16_000)).toBeNull();
    far.tell();
    channel.sendSync('last', 1000);
    far.tell();
    await channel.end();
    expect(await far.result).toBe('last');
  });
});
