import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { type Channel, createRegion, RegionPool } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, published } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();
const SENT = ['a', 'b', 'c'];
const WAYS: [string, string | undefined, (far: Channel) => Promise<void>][] = [
  [
    'ended and closed',
    undefined,
    async (far) => {
      await far.end();
      await far.close();
    },
  ],
  ['closed', 'ECONNRESET', (far) => far.close()],
];

async function iterate(channel: Channel): Promise<(string | undefined)[]> {
  const taken: (string | undefined)[] = [];
  try {
    for await (const message of channel) taken.push(String(message));
  } catch (error) {
    taken.push((error as { code?: string }).code);
  }
  return taken;
}

describe.each(WAYS)('a channel whose peer %s before anybody took what it sent', (_, code, leave) => {
  async function left(prepare: (near: Channel, far: Channel) => unknown = () => undefined) {
    const [near, far] = await open.pair();
    await prepare(near, far);
    const error = closed(near);
    for (const text of SENT) far.send(text);
    await published();
    await leave(far);
    expect((await error)?.message).toEqual(code && expect.stringContaining(code));
    return near;
  }

  test('closes, and a listener that comes later gets it', async () => {
    const near = await left();
    const taken: string[] = [];
    near.on('message', (message) => taken.push(String(message)));
    await asleep();
    expect(taken).toEqual(SENT);
  });

  test('closes, and listeners that come one by one get it, one by one', async () => {
    const near = await left();
    for (const text of SENT) {
      expect(`${(await once(near, 'message'))[0]}`).toBe(text);
      await asleep();
    }
  });

  test('closes, and a loop that comes later gets it', async () => {
    expect(await iterate(await left())).toEqual(code === undefined ? SENT : [...SENT, code]);
  });

  test('closes, and blocking calls get it', async () => {
    const near = await left();
    expect(SENT.map(() => String(near.receiveSync(0)))).toEqual(SENT);
  });

  test('closes although it handles requests, and the handlers hear', async () => {
    let aborted: Promise<unknown> | undefined;
    const near = await left(async (end, far) => {
      const begun = new Promise<void>((resolve) => {
        end.handle((_request, { signal }) => {
          aborted = once(signal, 'abort');
          resolve();
          return new Promise(() => undefined);
        });
      });
      far.request('').catch(() => undefined);
      await begun;
    });
    await aborted;
    expect(await iterate(near)).toEqual(code === undefined ? SENT : [...SENT, code]);
  });
});

test.each(WAYS)(
  'handlers hear that the peer %s although a loop is still at a message before that',
  async (_, code, leave) => {
    const [near, far] = await open.pair();
    const signals: AbortSignal[] = [];
    near.handle((_request, { signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    const messages = near[Symbol.asyncIterator]();
    for (const text of SENT) far.send(text);
    far.request('').catch(() => undefined);
    expect(`${(await messages.next()).value}`).toBe('a');
    while (signals.length === 0) await asleep();
    await leave(far);
    while (signals[0]?.aborted === false) await asleep();
    expect(`${(await messages.next()).value}`).toBe('b');
    expect(`${(await messages.next()).value}`).toBe('c');
    if (code === undefined) expect(await messages.next()).toMatchObject({ done: true });
    else await expect(messages.next()).rejects.toMatchObject({ code });
  },
);

describe('memory that the other end lets go of after this end closed', () => {
  test('is not in use any more: a grant', async () => {
    const [near, far] = await open.pair();
    using region = createRegion(4096);
    const grant = await near.grant(region);
    const mapping = await far.map(grant.reference);
    far[Symbol.asyncIterator]();
    near.send('so that the far end stays open');
    await near.drained();
    await near.close();
    const revoked = grant.revoke();
    mapping.close();
    await revoked;
    expect(grant.maps).toBe(0);
  });

  test('is not in use any more: a message', async () => {
    const [near, far] = await open.pair();
    using pool = new RegionPool({ size: 4096 });
    const released = near.sendRegion(pool.allocate(1));
    const messages = far.regions();
    const { value: message } = await messages.next();
    near.send('so that the far end stays open');
    await near.drained();
    await near.close();
    await asleep();
    message.release();
    await released;
    expect(pool.used).toBe(0);
  });
});

test('a commit to a channel whose peer is gone gives the reservation up', async () => {
  const [near, far] = await open.pair();
  // Unread, so that it stays open.
  far.send('');
  await published();
  near.reserve(8);
  await far.close();
  await asleep();
  near.commit();
  expect(near.send('x')).toBe(false);
});
