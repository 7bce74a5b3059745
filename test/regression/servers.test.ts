import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Channel, connect } from '../../src/index.js';
import { agentInProcess, closed, type Tools } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, turn } from '../support/turns.js';

const runtime = useRuntimeDirectory();
const open = useKeep();
/** A link's two event regions, its 8 idle rings at most, and those of two channels: two mappings each. */
const FEW = 2 + 2 * (8 + 2);
const refused = { code: 'ECONNREFUSED' };

/** For what comes by itself, and fails when it does not come soon. */
function soon(): AbortSignal {
  return AbortSignal.timeout(2000);
}

describe('connecting with wait', () => {
  test('to a server whose backlog is full comes through when there is room', async () => {
    const server = await open.bind('name', { backlog: 1 });
    await open.connect('name');
    const waiting = open.connect('name', { wait: true, signal: soon() });
    // The server answers in order: the one that waits has been refused by then.
    await expect(connect('name')).rejects.toMatchObject(refused);
    await open.accept(server);
    const channel = await waiting;
    channel.send('hello');
    expect(`${(await once(await open.accept(server), 'message'))[0]}`).toBe('hello');
  });

  test('comes through although the runtime directory was removed and made again', async () => {
    const waiting = open.connect('name', { wait: true, signal: soon() });
    await turn();
    rmSync(join(runtime.path, 'shmloop'), { recursive: true });
    await asleep();
    await open.bind('name');
    await waiting;
  });
});

describe('a channel that closed while it waited in the backlog', () => {
  test('with nothing to take is not handed out', async () => {
    const server = await open.bind('name');
    await (await connect('name')).close();
    (await open.connect('name')).send('alive');
    expect(`${(await once(await open.accept(server), 'message'))[0]}`).toBe('alive');
  });

  test('with nothing to take is not handed out to listeners', async () => {
    const server = await open.bind('name');
    await (await connect('name')).close();
    const alive = await open.connect('name');
    const channels: Channel[] = [];
    server.on('channel', (channel) => channels.push(open.keep(channel).handle(() => 'alive')));
    expect(`${await alive.request('', { timeout: 1000 })}`).toBe('alive');
    expect(channels.length).toBe(1);
  });

  test('with something to take is handed out', async () => {
    const server = await open.bind('name');
    const gone = await open.connect('name');
    gone.send('last words');
    await gone.end();
    await gone.close();
    await open.connect('name');
    const channel = await open.accept(server);
    const over = closed(channel);
    expect(`${(await once(channel, 'message'))[0]}`).toBe('last words');
    expect(await over).toBeUndefined();
  });
});

test('a channel listener that throws does not hold up the channels behind', async () => {
  const agent = await open.start(agentInProcess);
  const run = agent.start(
    async (_, { shmloop, keep, say, told }) => {
      const server = keep(await shmloop.bind('name'));
      say('bound');
      await told();
      process.once('uncaughtException', (error) => say(error.message));
      let calls = 0;
      server.on('channel', (channel) => {
        keep(channel).handle(() => 'handled');
        if (++calls === 1) throw new Error('of the listener');
      });
      await told();
    },
    { role: 'none' },
  );
  await run.said();
  const channels = [await open.connect('name'), await open.connect('name'), await open.connect('name')];
  run.tell();
  expect(await run.said()).toBe('of the listener');
  const replies = channels.map((channel) => channel.request('', { timeout: 1000 }));
  expect((await Promise.all(replies)).map(String)).toEqual(['handled', 'handled', 'handled']);
  run.tell();
});

describe('removeAllListeners()', () => {
  test('leaves a channel that hears of the listeners that come after', async () => {
    const [near, far] = await open.pair();
    far.on('message', () => expect.unreachable());
    far.removeAllListeners();
    near.send('1');
    expect(`${(await once(far, 'message'))[0]}`).toBe('1');
    // And of those that go: messages can be taken in another way.
    far.on('message', () => expect.unreachable());
    far.removeAllListeners('message');
    near.send('2');
    expect(`${(await far[Symbol.asyncIterator]().next()).value}`).toBe('2');
  });

  test('leaves a server that hears of the listeners that come after', async () => {
    const server = await open.bind('name');
    server.removeAllListeners();
    await open.connect('name');
    await asleep();
    const accepted = once(server, 'channel');
    open.keep((await accepted)[0]);
    server.removeAllListeners('channel');
    const next = once(server, 'channel');
    await open.connect('name');
    open.keep((await next)[0]);
  });
});

test('a server that only receives keeps no ring of those who connected and went', async () => {
  const agent = await open.start(agentInProcess);
  const run = agent.start(
    async (_, { shmloop, keep, say, told }) => {
      const server = keep(await shmloop.bind('both'));
      server.on('channel', (channel) => channel.handle((request) => request));
      const receiver = keep(await shmloop.bind('one-way', { direction: 'receive' }));
      receiver.on('channel', (channel) => channel.on('message', () => undefined));
      say('bound');
      await told();
    },
    { role: 'none' },
  );
  await run.said();
  // It keeps the link alive, which lets go of everything when it goes.
  await open.connect('both');
  const endBoth = async (channel: Channel) => {
    await channel.end();
    await closed(channel);
    // Until the other end has let go of the ring, too.
    await asleep();
  };
  for (let i = 0; i < 40; i++) {
    const channel = await open.connect('both');
    await channel.request('x');
    await endBoth(channel);
    // What it received on is offered to a server that wants no ring.
    await endBoth(await open.connect('one-way'));
  }
  await expect.poll(() => mappingsOf(agent.pid)).toBeLessThanOrEqual(FEW);
  run.tell();
});

/** Mappings of shared memory of the library. */
function mappingsOf(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
  return lines.filter((line) => line.includes('memfd:shmloop')).length;
}

test('a loop over the channels of a server that is left while it waits takes none', async () => {
  const server = await open.bind('name');
  const iterator = server[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await iterator.return?.();
  expect(await waiting).toEqual({ value: undefined, done: true });
  await open.connect('name');
  expect(await open.accept(server)).toBeDefined();
});

test('a server that sends many regions at once is heard by who is busy when it connects, and no other channel notices', async () => {
  const COUNT = 1000;
  const agent = await open.start(agentInProcess);
  const run = agent.start(
    async (_: unknown, { shmloop, say, args: count }: Tools<number>) => {
      const server = await shmloop.bind('generous');
      let isFirst = true;
      server.on('channel', (channel) => {
        if (isFirst) channel.handle((request) => request);
        else for (let i = 0; i < count; i++) void channel.sendRegion(shmloop.createRegion(4096));
        isFirst = false;
      });
      say('bound');
      await new Promise(() => undefined);
    },
    { role: 'none', args: COUNT },
  );
  await run.said();
  const other = await open.connect('generous');
  expect(`${await other.request('there')}`).toBe('there');
  const connecting = open.connect('generous');
  setImmediate(() => {
    for (const until = performance.now() + 100; performance.now() < until; );
  });
  let regions = 0;
  for await (const message of (await connecting).regions()) {
    message.release();
    if (++regions === COUNT) break;
  }
  expect(`${await other.request('still there')}`).toBe('still there');
});
