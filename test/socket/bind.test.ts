import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bind, type Channel, connect, publish, subscribe } from '../../src/index.js';
import { type Agent, agentInProcess, agentInWorker, closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const open = useKeep();

function bindIn(agent: Agent, name: string) {
  return agent.start(
    async (_, { shmloop, keep, args, describe }) => {
      try {
        keep(await shmloop.bind(args));
        return 'bound';
      } catch (error) {
        return describe(error).code;
      }
    },
    { role: 'none', args: name },
  ).result;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What is no string, and cannot be made one. */
const UNREADABLE = {
  toString() {
    throw new Error('unreadable');
  },
};

const inUse = expect.objectContaining({ code: 'EADDRINUSE', syscall: 'bind' });

describe('a name', () => {
  test('is bound once in a domain', async () => {
    await open.bind('name');
    await expect(bind('name')).rejects.toThrow(inUse);
    await open.bind('other');
  });

  test('is bound once, when two bind it at the same time', async () => {
    const results = await Promise.allSettled([bind('name'), bind('name'), bind('name')]);
    const bound = results.filter((result) => result.status === 'fulfilled');
    expect(bound.length).toBe(1);
    for (const { value } of bound) open.keep(value);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toEqual(inUse);
  });

  test.each([
    ['a worker', agentInWorker],
    ['a process', agentInProcess],
  ])('is bound once, here or in %s', async (_kind, kind) => {
    const agent = await open.start(kind);
    await open.bind('ours');
    expect(await bindIn(agent, 'ours')).toBe('EADDRINUSE');
    expect(await bindIn(agent, 'theirs')).toBe('bound');
    await expect(bind('theirs')).rejects.toThrow(inUse);
  });

  test('is free again when its server is closed, and leaves no file', async () => {
    const server = await bind('name');
    expect(existsSync(join(runtime.path, 'shmloop', 'name'))).toBe(true);
    await server.close();
    expect(readdirSync(join(runtime.path, 'shmloop'))).toEqual([]);
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' });
    await open.bind('name');
    await open.connect('name');
  });

  test('that a killed process left is bound again at once', async () => {
    const agent = await open.start(agentInProcess);
    expect(await bindIn(agent, 'name')).toBe('bound');
    await agent.kill();
    expect(existsSync(join(runtime.path, 'shmloop', 'name'))).toBe(true);
    const server = await open.bind('name');
    server.on('channel', (channel) => channel.handle(() => 'new'));
    expect(`${await (await open.connect('name')).request('')}`).toBe('new');
  });

  test('that a killed process left is refused to those who connect, and tidied away', async () => {
    const agent = await open.start(agentInProcess);
    expect(await bindIn(agent, 'name')).toBe('bound');
    await agent.kill();
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect.poll(() => readdirSync(join(runtime.path, 'shmloop'))).toEqual([]);
  });

  test('that a killed process left goes when another is bound; those of the living stay', async () => {
    const [dead, living] = [await open.start(agentInProcess), await open.start(agentInProcess)];
    expect(await bindIn(dead, 'dead')).toBe('bound');
    expect(await bindIn(living, 'living')).toBe('bound');
    await dead.kill();
    await open.bind('name');
    expect(readdirSync(join(runtime.path, 'shmloop')).sort()).toEqual(['living', 'name']);
    await open.connect('living');
  });

  test('that its successor bound leads to the successor', async () => {
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, keep, told }) => {
        keep(await shmloop.bind('name')).on('channel', (channel) => channel.handle(() => 'first'));
        await told();
      },
      { role: 'none' },
    );
    const channel = await open.connect('name', { wait: true });
    expect(`${await channel.request('')}`).toBe('first');
    run.tell();
    await agent.kill();
    await closed(channel);
    (await open.bind('name')).on('channel', (channel) => channel.handle(() => 'second'));
    expect(`${await (await open.connect('name')).request('')}`).toBe('second');
  });

  test("whose file was removed is another's once that has bound it, also when the first closes or exits", async () => {
    const file = join(runtime.path, 'shmloop', 'name');
    const [first, second] = [await open.start(agentInProcess), await open.start(agentInProcess)];
    const server = await open.bind('name');
    rmSync(file);
    expect(await bindIn(first, 'name')).toBe('bound');
    await server.close();
    await open.connect('name');
    rmSync(file);
    expect(await bindIn(second, 'name')).toBe('bound');
    first.start(() => process.exit(), { role: 'none' });
    await expect.poll(() => isAlive(first.pid)).toBe(false);
    expect((await open.connect('name')).peer.pid).toBe(second.pid);
  });

  test.each(['a', 'Z', '0', 'a.b_c-d', '1.2', 'x'.repeat(64)])('may be %j', async (name) => {
    await open.bind(name);
    await open.connect(name);
  });

  test.each([
    '',
    '.',
    '..',
    '.a',
    '-a',
    '_a',
    'a/b',
    '/a',
    'a b',
    'ä',
    'a\0',
    'a\n',
    'x'.repeat(65),
    5,
    null,
    {},
    Symbol('x'),
    UNREADABLE,
  ])('cannot be %o', async (name) => {
    const invalid = expect.objectContaining({ name: 'ShmloopError', code: 'ERR_SHMLOOP_INVALID_NAME' });
    await expect(bind(name as never)).rejects.toThrow(invalid);
    await expect(connect(name as never)).rejects.toThrow(invalid);
    await expect(publish(name as never)).rejects.toThrow(invalid);
    await expect(subscribe(name as never)).rejects.toThrow(invalid);
  });
});

describe('a server', () => {
  test('gives each channel once, to iteration or to its listeners', async () => {
    const server = await open.bind('name');
    const clients = await Promise.all([connect('name'), connect('name'), connect('name')]);
    clients.forEach(open.keep);
    for (const [i, client] of clients.entries()) client.send(`${i}`);
    const first = await open.accept(server);
    const others = await new Promise<Channel[]>((resolve) => {
      const all: Channel[] = [];
      server.on('channel', (channel) => {
        all.push(open.keep(channel));
        if (all.length === 2) resolve(all);
      });
    });
    const messages = [first, ...others].map((channel) => new Promise((resolve) => channel.once('message', resolve)));
    expect((await Promise.all(messages)).map(String).sort()).toEqual(['0', '1', '2']);
  });

  test('takes each of many that connect at once', async () => {
    const server = await open.bind('name', { backlog: 200 });
    const clients = await Promise.all(Array.from({ length: 200 }, () => connect('name')));
    clients.forEach(open.keep);
    server.on('channel', (channel) => open.keep(channel).handle((request) => request));
    const replies = await Promise.all(clients.map((client, i) => client.request(`${i}`)));
    expect(replies.map(String)).toEqual(clients.map((_, i) => `${i}`));
  });

  test('refuses those beyond its backlog, and takes more when there is room', async () => {
    const server = await open.bind('name', { backlog: 2 });
    await open.connect('name');
    await open.connect('name');
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await open.accept(server);
    await open.connect('name');
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('that is closed ends iteration, closes who waits, and leaves taken channels open', async () => {
    const server = await bind('name');
    const [taken, waiting] = [await open.connect('name'), await open.connect('name')];
    const iterator = server[Symbol.asyncIterator]();
    const channel = open.keep((await iterator.next()).value as Channel);
    channel.handle(() => 'alive');
    const isOver = new Promise<void>((resolve) => server.once('close', resolve));
    await server.close();
    await isOver;
    expect(server.closed).toBe(true);
    expect((await iterator.next()).done).toBe(true);
    expect((await closed(waiting)) ?? { code: 'ECONNRESET' }).toMatchObject({ code: 'ECONNRESET' });
    expect(`${await taken.request('')}`).toBe('alive');
    await server.close();
  });

  test('that is closed while somebody awaits a channel ends that wait', async () => {
    const server = await bind('name');
    const next = server[Symbol.asyncIterator]().next();
    await server[Symbol.asyncDispose]();
    expect((await next).done).toBe(true);
  });

  test('knows who is at the other end', async () => {
    const agent = await open.start(agentInProcess);
    const server = await open.bind('name');
    const accepted = open.accept(server);
    agent.start(() => undefined, { role: 'connect', name: 'name' });
    expect((await accepted).peer).toEqual({ pid: agent.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  });
});
