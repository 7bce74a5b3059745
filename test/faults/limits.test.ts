import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
const SMALL_SHM = 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"';
const isRoot = process.geteuid?.() === 0;

test.runIf(isRoot)('/dev/shm is full: a named region is ENOSPC and leaves nothing, and channels work', async () => {
  const wrap = ['unshare', '-m', 'sh', '-c', SMALL_SHM, 'sh'];
  const report = await sandbox.run('limited', { what: 'shm full' }, { wrap });
  expect(report).toMatchObject({ code: 'ENOSPC', left: [], bytes: 10_000_000 });
  expect(report.fits).toBeUndefined();
});

test('the address space is used up: ENOMEM at both ends, and the process lives', async () => {
  const report = await sandbox.run('limited', { what: 'address space' });
  expect(report).toMatchObject({ code: 'ENOMEM', again: 'ENOMEM', refused: 'ENOMEM', reply: 'still there?' });
});

test('a server has no descriptor to accept with: it lives, and accepts when it has', async () => {
  const server = sandbox.start('limited', { what: 'accepting', free: 0, releases: true });
  await server.next('full');
  const report = await sandbox.run('plain-client', { name: 'accepting' });
  expect(report).toEqual({ kind: 'report', reply: 'hello' });
});

for (const free of [1, 2, 3, 4, 5]) {
  test(`a server has ${free} descriptors left: who connects gets a coded error or a channel, and the server lives`, async () => {
    const server = sandbox.start('limited', { what: 'accepting', free, releases: false });
    await server.next('full');
    const first = await sandbox.run('plain-client', { name: 'accepting' });
    expect([undefined, 'ENOMEM', 'ERR_SHMLOOP_HANDSHAKE', 'ECONNRESET', 'EMFILE']).toContain(first.code);
    server.tell({});
    const second = await sandbox.run('plain-client', { name: 'accepting' });
    expect(second).toEqual({ kind: 'report', reply: 'hello' });
  });
}

test('a server has no descriptor for the ring of one more channel: it refuses that, and the link lives', async () => {
  const server = sandbox.start('limited', { what: 'accepting', name: 'link', waits: true, free: 0, releases: false });
  await server.next('bound');
  const client = sandbox.start('filling-client', { who: 'server' });
  await client.next('ready');
  server.tell({});
  await server.next('full');
  client.tell({});
  expect(await client.next('refused')).toEqual({ kind: 'refused', code: 'ENOMEM', reply: 'still there?' });
  server.tell({});
  client.tell({});
  expect(await client.next('report')).toMatchObject({ again: 'and again' });
  expect(await client.exited).toEqual({ code: 0, signal: null });
});

test('a client has no descriptor for the ring of its new channel: EMFILE, and the link lives', async () => {
  const server = sandbox.start('counting-peer', { name: 'link' });
  await server.next('bound');
  const client = sandbox.start('filling-client', { who: 'client' });
  await client.next('ready');
  client.tell({});
  expect(await client.next('refused')).toEqual({ kind: 'refused', code: 'EMFILE', reply: 'still there?' });
  client.tell({});
  expect(await client.next('report')).toMatchObject({ again: 'and again' });
  expect(await client.exited).toEqual({ code: 0, signal: null });
});
