import { getEventListeners } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { bind, Channel, connect } from '../../src/index.js';
import { encode } from '../../src/link/messages.js';
import { type Descriptor, native } from '../../src/native.js';
import { agentInProcess, agentInWorker, closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const open = useKeep();

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** What sockets and pipes this process has open. */
function targets(): string[] {
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${number}`);
      return /^(socket|pipe):/.test(target) ? [target] : [];
    } catch {
      return []; // The one that reads the directory.
    }
  });
}

/** How many directories this process watches. */
function watches(): number {
  const infos = readdirSync('/proc/self/fd').map((number) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${number}`, 'latin1');
    } catch {
      return ''; // The one that reads the directory.
    }
  });
  return infos.join('').match(/^inotify wd:/gm)?.length ?? 0;
}

/** Listens as a server does, and does to each that comes what is said. @returns what frees the name */
function listenRaw(name: string, greet: (peer: Descriptor) => void): () => void {
  const directory = join(runtime.path, 'shmloop');
  mkdirSync(directory, { mode: 0o700, recursive: true });
  const socket = native().listenUnix(join(directory, name), 16);
  const timer = setInterval(() => {
    for (let peer = native().acceptUnix(socket); peer !== null; peer = native().acceptUnix(socket)) {
      greet(peer);
      peer.close();
    }
  }, 1);
  return () => {
    clearInterval(timer);
    unlinkSync(join(directory, name));
    socket.close();
  };
}

describe('connecting', () => {
  test('to a name that nobody has bound is refused', async () => {
    await expect(connect('name')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      errno: expect.any(Number),
    });
  });

  test('with wait comes through when the name is bound', async () => {
    const channels = Promise.all([1, 2, 3].map(() => open.connect('name', { wait: true })));
    await delay(20);
    const server = await open.bind('name');
    server.on('channel', (channel) => open.keep(channel).handle((request) => request));
    for (const channel of await channels) expect(`${await channel.request('x')}`).toBe('x');
  });

  test('with wait comes through when another process binds the name', async () => {
    const agent = await open.start(agentInProcess);
    const opening = open.connect('name', { wait: true });
    await delay(10);
    agent.start((channel: Channel) => void channel.send('hello'), { role: 'bind', name: 'name' });
    const { value } = await (await opening)[Symbol.asyncIterator]().next();
    expect(value.toString()).toBe('hello');
  });

  test('with wait goes past a name that a killed process left', async () => {
    const agent = await open.start(agentInProcess);
    await agent.start(async (_, { shmloop, keep }) => void keep(await shmloop.bind('name')), { role: 'none' }).result;
    await agent.kill();
    const opening = open.connect('name', { wait: true });
    await delay(10);
    await open.bind('name');
    await opening;
  });

  test('with wait goes past who hangs up, trying again after a while each time', async () => {
    let hangUps = 0;
    const free = listenRaw('name', () => hangUps++);
    await expect(connect('name')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_HANDSHAKE' });
    const opening = open.connect('name', { wait: true });
    await expect.poll(() => hangUps, { timeout: 10_000 }).toBeGreaterThan(20);
    const before = hangUps;
    await delay(200);
    // Ten tries, each followed by looks whether the file is stale.
    expect(hangUps - before).toBeLessThan(100);
    free();
    await open.bind('name');
    await opening;
  });

  test('with wait is no wait for who breaks the handshake', async () => {
    const free = listenRaw('name', (peer) => native().sendMessage(peer, encode({ kind: 'ready' }), []));
    await expect(connect('name', { wait: true })).rejects.toMatchObject({ code: 'ERR_SHMLOOP_HANDSHAKE' });
    free();
  });

  test('with wait is given up by its signal', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const opening = connect('name', { wait: true, signal: controller.signal });
    await delay(5);
    expect(watches()).toBe(1);
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    expect(watches()).toBe(0);
    await expect(connect('name', { wait: true, signal: controller.signal })).rejects.toBe(reason);
    await open.bind('name');
  });

  test('with wait leaves no listener at its signal', async () => {
    const { signal } = new AbortController();
    const opening = open.connect('name', { wait: true, signal });
    await delay(10);
    const server = await open.bind('name', { backlog: 1 });
    await opening;
    const next = open.connect('name', { wait: true, signal });
    // It tries a few times.
    await delay(100);
    await open.accept(server);
    await next;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('is given up by its signal at any moment, and leaves no channel', async () => {
    const server = await open.bind('name');
    const ends: Promise<unknown>[] = [];
    server.on('channel', (channel) => ends.push(closed(open.keep(channel))));
    for (let turns = 0; turns < 12; turns++) {
      const controller = new AbortController();
      const opening = connect('name', { signal: controller.signal });
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      const outcome = await opening.catch((error) => error);
      if (outcome instanceof Channel) await outcome.close();
      else expect(outcome).toMatchObject({ name: 'AbortError' });
    }
    // What was asked for before has been answered by then.
    await open.connect('name');
    await Promise.all(ends.slice(0, -1));
  });

  test('a signal that is aborted later does nothing to the channel', async () => {
    const server = await open.bind('name');
    const controller = new AbortController();
    const channel = await open.connect('name', { signal: controller.signal, wait: true });
    controller.abort();
    (await open.accept(server)).send('alive');
    const { value } = await channel[Symbol.asyncIterator]().next();
    expect(value.toString()).toBe('alive');
  });
});

describe('channels between the same two domains', () => {
  test.each([
    ['a process', agentInProcess],
    ['a worker', agentInWorker],
  ])('share one link with %s: no descriptor more for each', async (_name, kind) => {
    const agent = await open.start(kind);
    const run = agent.start(
      async (_, { shmloop, keep, say, told }) => {
        const server = keep(await shmloop.bind('name', { ringSize: 4096, backlog: 2000 }));
        server.on('channel', (channel) => keep(channel).handle((request) => request));
        say();
        await told();
      },
      { role: 'none' },
    );
    await run.said();
    const options = { ringSize: 4096 };
    const first = await open.connect('name', options);
    await first.request('x');
    const before = descriptors();
    const channels = [first];
    while (channels.length < 1000) {
      const opening = Array.from({ length: 100 }, () => open.connect('name', options));
      channels.push(...(await Promise.all(opening)));
    }
    const replies = await Promise.all(channels.map((channel, i) => channel.request(`${i}`)));
    expect(replies.map(String)).toEqual(channels.map((_, i) => `${i}`));
    expect(descriptors()).toBeLessThanOrEqual(before);
    run.tell();
  });

  test('share it although all are opened at once', async () => {
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, keep, say, told }) => {
        for (const name of ['one', 'two', 'three']) {
          keep(await shmloop.bind(name)).on('channel', (channel) => keep(channel).handle(() => name));
        }
        say();
        await told();
      },
      { role: 'none' },
    );
    await run.said();
    const before = descriptors();
    const names = Array.from({ length: 30 }, (_, i) => ['one', 'two', 'three'][i % 3] as string);
    const channels = await Promise.all(names.map((name) => open.connect(name)));
    const replies = await Promise.all(channels.map((channel) => channel.request('')));
    expect(replies.map(String)).toEqual(names);
    // A link: its socket, two doorbells. Three names may have been dialed at once.
    expect(descriptors() - before).toBeLessThanOrEqual(9);
  });

  test('go both ways: each may have bound a name that the other connects to', async () => {
    const agent = await open.start(agentInProcess);
    const server = await open.bind('here');
    server.on('channel', (channel) => open.keep(channel).handle((request) => `here ${request}`));
    const run = agent.start(
      async (_, { shmloop, keep, say, told }) => {
        const server = keep(await shmloop.bind('there'));
        server.on('channel', (channel) => keep(channel).handle((request) => `there ${request}`));
        say(`${await keep(await shmloop.connect('here')).request('1')}`);
        await told();
      },
      { role: 'none' },
    );
    expect(await run.said()).toBe('here 1');
    const before = descriptors();
    expect(`${await (await open.connect('there')).request('2')}`).toBe('there 2');
    expect(descriptors()).toBe(before);
    run.tell();
  });

  test('leave a link that closes after a while, and is made anew', async () => {
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, keep, say, told }) => {
        const server = keep(await shmloop.bind('name'));
        server.on('channel', (channel) => keep(channel).handle((request) => request));
        say();
        await told();
      },
      { role: 'none' },
    );
    await run.said();
    for (const round of ['first', 'second']) {
      // By what they are, not by their number: what tests before had open may go meanwhile.
      const before = targets();
      const channel = await open.connect('name');
      expect(`${await channel.request(round)}`).toBe(round);
      const ofLink = targets().filter((target) => !before.includes(target));
      expect(ofLink.length).toBeGreaterThan(0);
      await channel.close();
      const left = () => targets().filter((target) => ofLink.includes(target));
      await expect.poll(left, { timeout: 10_000 }).toEqual([]);
    }
    run.tell();
  });

  test('a name bound twice over the years leads to its present server', async () => {
    for (const round of [1, 2, 3]) {
      const server = await bind('name');
      server.on('channel', (channel) => open.keep(channel).handle(() => `${round}`));
      const channel = await connect('name');
      expect(`${await channel.request('')}`).toBe(`${round}`);
      await channel.close();
      await server.close();
    }
  });
});
