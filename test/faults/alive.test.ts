import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
const ENDED = { code: 0, signal: null };

async function startPeer() {
  const peer = sandbox.start('counting-peer', { name: 'peer' });
  await peer.next('bound');
  return peer;
}

for (const what of ['all closed', 'a closed channel', 'an ended channel', 'an unreferenced channel']) {
  test(`a process with ${what} exits by itself`, async () => {
    await startPeer();
    const fixture = sandbox.start('alive', { what });
    await fixture.next('done');
    expect(await fixture.exited).toEqual(ENDED);
  });
}

test('a process with an unreferenced server exits by itself', async () => {
  const fixture = sandbox.start('alive', { what: 'an unreferenced server' });
  await fixture.next('done');
  expect(await fixture.exited).toEqual(ENDED);
});

for (const what of ['an open channel', 'an open channel in use no more']) {
  test(`${what} keeps a process alive until the other end closes it`, async () => {
    const peer = await startPeer();
    const fixture = sandbox.start('alive', { what });
    await fixture.next('done');
    // Nothing happens for a while: that is what is tested.
    expect(await Promise.race([delay(500), fixture.exited])).toBeUndefined();
    peer.kill('SIGKILL');
    expect(await fixture.exited).toEqual(ENDED);
  });
}

test('a server keeps a process alive until it is closed', async () => {
  const fixture = sandbox.start('alive', { what: 'a server' });
  await fixture.next('done');
  expect(await Promise.race([delay(500), fixture.exited])).toBeUndefined();
  fixture.tell({});
  expect(await fixture.exited).toEqual(ENDED);
});

test('a dropped channel is collected: the other end sees its end, and the process exits', async () => {
  const peer = await startPeer();
  const fixture = sandbox.start('alive', { what: 'a dropped channel' });
  expect(await fixture.next('dropped')).toEqual({ kind: 'dropped', isCollected: true });
  await fixture.next('done');
  expect(await fixture.exited).toEqual(ENDED);
  expect(await peer.next('closed')).toEqual({ kind: 'closed', next: 0 });
});
