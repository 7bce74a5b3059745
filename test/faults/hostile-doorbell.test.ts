import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('a peer makes its doorbell blocking, and takes its rings back: who reads it does not block', async () => {
  const server = sandbox.start('beset-server', { name: 'beset' });
  await server.next('bound');
  const attacker = sandbox.start('blocking-doorbell', { name: 'beset' });
  await attacker.next('done');
  attacker.tell({});
  await attacker.exited;
  server.tell({ ask: 'state' });
  const state = await Promise.race([server.next('state'), delay(7000, 'blocked for ever')]);
  expect(state).toMatchObject({ isHonestAlive: true, settled: 'yes' });
});
