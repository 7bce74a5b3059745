import { describe, expect } from 'vitest';
import { onTcp, type ProgramOptions, test } from '../identity/support.js';

const MODULE = new URL('fixtures/loaded.mjs', import.meta.url);
const SCRIPT = new URL('fixtures/loaded.cjs', import.meta.url);

const ways: [string, ProgramOptions][] = [
  ["import net from 'shmloop/net'", { program: MODULE, preload: false, config: { by: 'import' } }],
  ["require('shmloop/net')", { program: SCRIPT, preload: false }],
  ['--import shmloop/register', { program: MODULE, config: { by: 'node' } }],
  [
    '--require shmloop/register',
    { program: MODULE, preload: false, node: ['--require', 'shmloop/register'], config: { by: 'node' } },
  ],
  [
    'NODE_OPTIONS=--import shmloop/register',
    {
      program: MODULE,
      preload: false,
      env: { NODE_OPTIONS: '--import shmloop/register' },
      config: { by: 'node' },
    },
  ],
];

describe.concurrent('a program that has the drop-in by', () => {
  test.for(ways)('%s: its connections switch, whoever makes them', async ([, options], { start }) => {
    const [program, other] = await Promise.all([start(options), start()]);
    expect(await program.call('exchange', await other.call('listen'))).toBe(other.pid);
    const key = await other.call('connect', { port: await program.call('listen') });
    expect((await other.call('switched', key)).pids).toEqual([program.pid]);
  });

  test.for(ways.slice(0, 2))('%s: it has all that node:net exports, and the same', async ([, options], { start }) => {
    const program = await start(options);
    expect(await program.call('missing')).toEqual([]);
    expect(await program.call('others')).toEqual([]);
  });

  test.for(ways)('%s, with SHMLOOP=off: it works on TCP', async ([, options], { start }) => {
    const env = { ...options.env, SHMLOOP: 'off' };
    const [program, other] = await Promise.all([start({ ...options, env }), start()]);
    const key = await other.call('connect', { port: await program.call('listen') });
    expect(await other.call('settle', key)).toEqual(onTcp('peer', program.pid));
  });
});
