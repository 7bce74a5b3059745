import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('mappings are used up: a coded error, both processes live, and channels can be had again', async () => {
  const peer = sandbox.start('counting-peer', { name: 'many', options: { ringSize: 4096 } });
  await peer.next('bound');
  const report = await sandbox.run('many-channels', { name: 'many' });
  console.log(`${report.opened} channels, ${report.mappings} mappings of ${report.limit}: ${report.code}`);
  expect(report).toMatchObject({ code: 'ENOMEM', replies: ['hello', 'hello'], reply: 'hello again' });
  expect(peer.process.exitCode).toBeNull();
});

test('descriptors are used up at any point: EMFILE, other channels go on, and nothing is lost', async () => {
  for (const name of ['peer', 'fresh']) {
    const peer = sandbox.start('counting-peer', { name });
    await peer.next('bound');
  }
  const { outcomes, last } = await sandbox.run('limited', { what: 'descriptors' });
  for (const outcome of outcomes) {
    const { free, connect, bind, open, reply } = outcome;
    expect(reply).toBe(`after ${free}`);
    for (const code of [connect, bind, open]) expect([undefined, 'EMFILE'], JSON.stringify(outcomes)).toContain(code);
  }
  expect(outcomes[0]).toMatchObject({ connect: 'EMFILE', bind: 'EMFILE', open: 'EMFILE' });
  expect(outcomes.at(-1).connect).toBeUndefined();
  expect(last).toBe('in the end');
});
