import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { useSandbox } from './support.js';

const SCRIPT = fileURLToPath(new URL('fixtures/lingering.py', import.meta.url));
/** Each socket would hold up who closes it for 6 s. What this machine makes of a stall of none is less, in milliseconds. */
const MAX_STALL = 1000;
/** Of the victim's own work. */
const MAX_OWN_STALL = 20;

const sandbox = useSandbox();
const peers: ChildProcess[] = [];

afterEach(() => {
  for (const peer of peers.splice(0)) peer.kill('SIGKILL');
});

test.each([
  'in the hello',
  'for a region and a doorbell',
  'for a doorbell',
  'more than a message may have',
  'for a ring',
  'behind what ends the link',
])('sockets that linger, passed %s, hold up nothing, and are closed', async (where) => {
  const server = sandbox.start('beset-server', { name: 'beset' });
  await server.next('bound');
  const path = join(sandbox.directory, 'shmloop', 'beset');
  const peer = spawn('python3', [SCRIPT, path, where], { stdio: ['pipe', 'pipe', 'inherit'] });
  peers.push(peer);
  expect(`${(await once(peer.stdout, 'data'))[0]}`).toMatch('done');
  server.tell({ ask: 'descriptors' });
  await server.next('settled');
  peer.kill('SIGKILL');
  server.tell({ ask: 'state' });
  const state = await server.next('state');
  if (process.env.SHMLOOP_VERBOSE)
    console.log(`${where}: stalls ${state.stall} ms, of it its own ${state.ownStall} ms`);
  expect(state).toMatchObject({ settled: 'yes', isHonestAlive: true });
  expect(state.stall).toBeLessThan(MAX_STALL);
  expect(state.ownStall).toBeLessThan(MAX_OWN_STALL);
});
