import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bind, connect, publish } from '../../src/index.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const open = useKeep();
const own = process.geteuid?.() as number;
const invalid = expect.objectContaining({ code: 'ERR_SHMLOOP_INVALID_ARGUMENT' });
const unusable = expect.objectContaining({ code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY' });
const rejected = { code: 'ERR_SHMLOOP_PEER_REJECTED' };

describe('who is allowed', () => {
  test('is asked for each channel, with the credentials of who connects', async () => {
    const asked: unknown[] = [];
    await open.bind('name', {
      allow: {
        check: async (peer) => {
          asked.push(peer);
          return asked.length !== 2;
        },
      },
    });
    const gid = process.getegid?.();
    await open.connect('name');
    await expect(connect('name')).rejects.toMatchObject(rejected);
    await open.connect('name');
    expect(asked).toEqual(Array(3).fill({ pid: process.pid, uid: own, gid }));
  });

  test('is this user, where nothing is said', async () => {
    await open.bind('name');
    expect((await open.connect('name', { expect: { uid: own } })).peer.uid).toBe(own);
    await open.bind('nobody', { allow: { uids: [] } });
    await expect(connect('nobody')).rejects.toMatchObject(rejected);
  });

  test('is refused when the name was freed while it was decided', async () => {
    const server = await open.bind('name', {
      allow: {
        check: async () => {
          await server.close();
          return true;
        },
      },
    });
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('are at most 64 at a time of one peer: others find the backlog full', async () => {
    let decide: (isAllowed: boolean) => void = () => undefined;
    const decided = new Promise<boolean>((resolve) => {
      decide = resolve;
    });
    let asked = 0;
    const server = await open.bind('name', {
      allow: {
        check: () => {
          asked++;
          return decided;
        },
      },
    });
    server.on('channel', open.keep);
    const connecting = Array.from({ length: 65 }, () => connect('name', { ringSize: 4096 }));
    const outcomes = Promise.allSettled(connecting);
    await expect(
      Promise.any(
        connecting.map((each) =>
          each.then(
            () => Promise.reject(),
            (error) => error,
          ),
        ),
      ),
    ).resolves.toMatchObject({ code: 'ECONNREFUSED' });
    expect(asked).toBe(64);
    decide(true);
    const channels = (await outcomes).flatMap((each) => (each.status === 'fulfilled' ? [open.keep(each.value)] : []));
    expect(channels.length).toBe(64);
  });

  test.each([
    null,
    {},
    7,
    { uids: 7 },
    { uids: [-1] },
    { uids: [1.5] },
    { uids: ['0'] },
    { uids: [65_534] },
    { gids: [65_534] },
    { pids: [0] },
    { check: true },
  ])('is said in lists of numbers, or by a function: %j is refused', async (allow) => {
    await expect(bind('name', { allow: allow as never })).rejects.toThrow(invalid);
  });

  test.each([null, {}, 7, { uid: -1 }, { uid: '0' }, { uid: 65_534 }])(
    'is expected by uid: %j is refused',
    async (uid) => {
      await expect(connect('name', { expect: uid as never })).rejects.toThrow(invalid);
    },
  );
});

describe('a directory that is given', () => {
  async function expectRefused(directory: unknown, error: unknown): Promise<void> {
    await expect(bind('name', { directory: directory as string })).rejects.toThrow(error as Error);
    await expect(connect('name', { directory: directory as string })).rejects.toThrow(error as Error);
    await expect(connect('name', { directory: directory as string, wait: true })).rejects.toThrow(error as Error);
  }

  test('is another place for names than the runtime directory', async () => {
    const directory = join(runtime.path, 'other');
    mkdirSync(directory);
    await open.bind('name', { directory });
    await expect(connect('name')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect((await open.connect('name', { directory })).peer.pid).toBe(process.pid);
    await expect(bind('name')).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test.each([
    ['bound', bind],
    ['published under', publish],
  ])('holds a name once of those %s at the same time, which who fails gives back', async (_how, make) => {
    const directories = ['one', 'other'].map((name) => join(runtime.path, name));
    for (const directory of directories) mkdirSync(directory);
    const makeAll = () => Promise.allSettled(directories.map((directory) => make('name', { directory })));
    const [first, second] = await makeAll();
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'EADDRINUSE' } });
    if (first?.status === 'fulfilled') await first.value.close();
    // What is no socket is in the way.
    mkdirSync(join(runtime.path, 'one', 'name'));
    await expect(make('name', { directory: directories[0] as string })).rejects.toThrow();
    open.keep(await make('name', { directory: directories[1] as string }));
  });

  test('is an absolute path', async () => {
    for (const directory of ['', 'relative', './x', 7, null]) await expectRefused(directory, invalid);
  });

  test('exists, is a directory, and no link to one', async () => {
    await expectRefused(join(runtime.path, 'nowhere'), unusable);
    writeFileSync(join(runtime.path, 'file'), '');
    await expectRefused(join(runtime.path, 'file'), unusable);
    mkdirSync(join(runtime.path, 'good'));
    symlinkSync(join(runtime.path, 'good'), join(runtime.path, 'link'));
    await expectRefused(join(runtime.path, 'link'), unusable);
    await expectRefused(`${join(runtime.path, 'link')}/`, unusable);
  });
});
