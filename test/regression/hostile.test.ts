import { describe, expect, test } from 'vitest';
import { connect } from '../../src/index.js';
import { useSandbox } from '../faults/support.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const sandbox = useSandbox();
const open = useKeep();
const PROTOCOL = 'ERR_SHMLOOP_PROTOCOL';

/** Fixtures that meet this process find it in its own runtime directory. */
function here() {
  return { env: { XDG_RUNTIME_DIR: runtime.path } };
}

describe('a peer that writes nonsense into the control word of the ring that it reads', () => {
  const misuse = (what: string) => sandbox.run('misused-channel', { what, capacity: 4096 });

  test('closes the channel for who sends: send() returns false', async () => {
    expect(await misuse('send')).toMatchObject({
      sent: false,
      after: [true, false, null],
      drained: PROTOCOL,
      request: PROTOCOL,
      closed: PROTOCOL,
    });
  });

  test('closes the channel for who reserves: there is no room', async () => {
    expect(await misuse('reserve')).toMatchObject({ reserved: null, isClosed: true, closed: PROTOCOL });
  });

  test('closes the channel for who blocks in sending, with that error', async () => {
    expect(await misuse('sendSync')).toMatchObject({ thrown: PROTOCOL, closed: PROTOCOL });
  });

  test('closes the channel for a handler that answers, and the process lives', async () => {
    expect(await misuse('handler')).toMatchObject({ closed: PROTOCOL });
  });

  test('closes the channel for requests whose time is up, and the process lives', async () => {
    expect(await misuse('request timers')).toMatchObject({ codes: [PROTOCOL], closed: PROTOCOL });
  });

  test('fails a stream that is written, and the process lives', async () => {
    expect(await misuse('stream')).toMatchObject({ failed: PROTOCOL, destroyed: true, closed: PROTOCOL });
  });
});

test('a peer that uses the id of a request again before it was answered has its channel closed', async () => {
  const report = await sandbox.run('misused-channel', { what: 'a request id that is in use', capacity: 4096 });
  expect(report).toMatchObject({ isOpen: true, calls: 2, closed: PROTOCOL });
});

test('a peer that asks for more than may be unanswered has its channel closed', async () => {
  const report = await sandbox.run('misused-channel', {
    what: 'more requests than may be unanswered',
    capacity: 1 << 20,
  });
  expect(report).toEqual({ kind: 'report', isOpen: true, calls: 1024, aborted: 1024, closed: PROTOCOL });
});

test('a peer that reads no replies is owed 16 MiB of them, and has its other requests handled when it reads', async () => {
  const scene = { what: 'replies that are not read', capacity: 1 << 20 };
  const { owed, closed } = await sandbox.run('misused-channel', scene);
  // Replies of 1 MiB; one more is in the ring, and one was under way.
  expect(owed).toBeGreaterThanOrEqual(16);
  expect(owed).toBeLessThanOrEqual(18);
  expect(closed).toBeUndefined();
});

test('a process that says that it is another gets none of the channels to that', async () => {
  const victim = sandbox.start('counting-peer', { name: 'victim' }, here());
  await victim.next('bound');
  const server = await open.bind('client');
  server.on('channel', open.keep);
  const impostor = sandbox.start('impostor', {}, here());
  expect(await impostor.next('linked')).toMatchObject({ hasChannel: true });
  const channel = await open.connect('victim', { signal: AbortSignal.timeout(1500) });
  expect(channel.peer.pid).toBe(victim.pid);
  expect(`${await channel.request('who?', { timeout: 1000 })}`).toBe('who?');
});

describe('two versions of the protocol', () => {
  test('do not connect: who dials learns why', async () => {
    await open.bind('ours');
    const report = await sandbox.run('other-version', { does: 'connect', name: 'ours' }, here());
    expect(report).toMatchObject({ version: 1000, code: 'ERR_SHMLOOP_VERSION' });
  });

  test('do not connect: who dials the other learns why', async () => {
    const other = sandbox.start('other-version', { does: 'bind', name: 'theirs' }, here());
    expect(await other.next('bound')).toMatchObject({ version: 1000 });
    await expect(connect('theirs')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_VERSION' });
    other.tell({});
    expect(await other.exited).toEqual({ code: 0, signal: null });
  });
});

test('an idle link that refused a channel while it was about to close goes all the same', async () => {
  const report = await sandbox.run('idle-link');
  expect(report.messages).toEqual(['ECONNREFUSED', 'bye', 'refuse', 'bye', 'bye']);
  expect(report.more, report.descriptors.join('\n')).toBe(0);
});
