import { expect, test } from 'vitest';
import { failuresOf } from './attacks.js';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('a client that floods its peer hurts nobody else', async () => {
  expect(await failuresOf('flood', sandbox)).toEqual([]);
});

test('a client that never says hello is hung up on in time, and 300 of them do not lock others out', async () => {
  const server = sandbox.start('beset-server', { name: 'beset' });
  await server.next('bound');
  const silent = sandbox.start('silent-clients', { name: 'beset', count: 300 });
  await silent.next('ready');
  expect(await sandbox.run('plain-client', { name: 'beset' })).toMatchObject({ reply: 'hello' });
  const report = await silent.next('report');
  expect(report.ended).toBe(300);
  server.tell({ ask: 'state' });
  expect(await server.next('state')).toMatchObject({ settled: 'yes', isHonestAlive: true });
});
