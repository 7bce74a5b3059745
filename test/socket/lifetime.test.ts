import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { fixture } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Scene {
  readonly exit: Promise<unknown[]>;
  readonly accepted: Channel[];
}

/** Runs a scene of the fixture, until it has nothing more to do but wait. */
async function play(name: string): Promise<Scene> {
  const accepted: Channel[] = [];
  const server = await open.bind('test');
  server.on('channel', (channel) => {
    accepted.push(open.keep(channel).handle((request) => request));
    channel.on('message', () => undefined);
  });
  const child = spawn(process.execPath, [fixture('lifetime.mjs'), name], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const exit = once(child, 'exit');
  if (name !== 'waiting connect') await once(child.stdout, 'data');
  return { exit, accepted };
}

describe('a process exits by itself', () => {
  test.each([
    'closed channel',
    'ended channel',
    'unref’ed channel',
    'unref’ed server',
    'closed server',
    'dropped connect',
    'given-up wait',
    'own channel',
  ])('with nothing but: %s', async (name) => {
    const { exit } = await play(name);
    expect(await exit).toEqual([0, null]);
  });

  test.each(['open channel', 'channel with a listener', 'ref’ed again', 'one of two unref’ed'])(
    'not with: %s, until the other end closes',
    async (name) => {
      const { exit, accepted } = await play(name);
      expect(await Promise.race([exit, delay(150, 'alive')])).toBe('alive');
      for (const channel of accepted) await channel.close();
      expect(await exit).toEqual([0, null]);
    },
  );

  test('not with: server, which waits for whoever comes', async () => {
    const { exit } = await play('server');
    expect(await Promise.race([exit, delay(150, 'alive')])).toBe('alive');
    await open.connect('other');
  });

  test('not with: connect that waits for a name, until the name is bound', async () => {
    const { exit } = await play('waiting connect');
    expect(await Promise.race([exit, delay(250, 'alive')])).toBe('alive');
    const server = await open.bind('nobody');
    const channel = await open.accept(server);
    await channel.close();
    expect(await exit).toEqual([0, null]);
  });
});
