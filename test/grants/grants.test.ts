import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isSafe } from '../../src/channel/mappings.js';
import { createRegion, grants } from '../../src/index.js';
import { transfer } from '../support/transfer.js';
import { useFarEnds } from './far-ends.js';

const far = useFarEnds();
const coded = (code: string) => expect.objectContaining({ code });
/** No ring and no event region is of this size. */
const SIZE = 3 * 1024 * 1024;

/** How often a process has memory of that size mapped, and how many descriptors of memory it has open. */
function uses(pid: number): { maps: number; descriptors: number } {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  const maps = lines.filter((line) => line.includes('/memfd:shmloop') && lengthOf(line) === SIZE);
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  return { maps: maps.length, descriptors: links.filter((link) => link.includes('memfd:shmloop')).length };
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function lengthOf(line: string): number {
  const [from = 0, to = 0] = (line.split(' ', 1)[0] as string).split('-').map((hex) => Number.parseInt(hex, 16));
  return to - from;
}

/** Maps what it is told the reference of, and lets go when it is told so. */
const holder = async (
  peer: import('../../src/index.js').Channel,
  { told, say }: { told<T = unknown>(): Promise<T>; say(value?: unknown): void },
) => {
  const mapping = await peer.map(await told<string>());
  say(mapping.buffer.toString('latin1', 0, 5));
  await told();
  mapping.close();
};

describe('a grant', () => {
  test('is mapped by another process, which sees what the owner writes', async () => {
    const { channel, run, agent } = await far.open(async (peer, { told, say }) => {
      const mapping = await peer.map(await told<string>());
      say([mapping.buffer.length, mapping.access, mapping.immutable, mapping.buffer.toString('latin1', 0, 5)]);
      await told();
      say(mapping.buffer.toString('latin1', 0, 5));
      mapping.close();
      say(mapping.buffer[0]);
    });
    using region = createRegion(SIZE);
    region.buffer.write('first');
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    expect(await run.said()).toEqual([SIZE, 'read', false, 'first']);
    expect(grant.maps).toBe(1);
    expect(uses(agent.pid)).toEqual({ maps: 1, descriptors: 0 });
    region.buffer.write('later');
    run.tell();
    expect(await run.said()).toBe('later');
    expect(await run.said()).toBe(0);
    await grant.revoke();
    expect(channel.grants()).toEqual([]);
    expect(uses(agent.pid)).toEqual({ maps: 0, descriptors: 0 });
  });

  test('for reading is not written through, whatever the peer writes to its view', async () => {
    const { channel, run } = await far.open(async (peer, { told, say }) => {
      const mapping = await peer.map(await told<string>());
      mapping.buffer.fill(7);
      say(mapping.buffer[4096]);
    });
    using region = createRegion(SIZE);
    run.tell((await channel.grant(region, { access: 'read' })).reference);
    expect(await run.said()).toBe(7);
    expect(region.buffer.every((byte) => byte === 0)).toBe(true);
  });

  test('for writing is written by both, with Atomics across processes', async () => {
    const { channel, run } = await far.open(async (peer, { told, say }) => {
      const { buffer, access } = await peer.map(await told<string>());
      const words = new Int32Array(buffer.buffer, buffer.byteOffset, 16);
      for (let i = 0; i < 100_000; i++) Atomics.add(words, 3, 1);
      say(access);
    });
    using region = createRegion(SIZE, { writable: 'peers' });
    const words = new Int32Array(region.buffer.buffer, region.buffer.byteOffset, 16);
    run.tell((await channel.grant(region)).reference);
    // Both at the same time: a step that was not atomic would lose some.
    while (Atomics.load(words, 3) === 0) await new Promise(setImmediate);
    for (let i = 0; i < 100_000; i++) Atomics.add(words, 3, 1);
    expect(await run.said()).toBe('write');
    expect(Atomics.load(words, 3)).toBe(200_000);
    expect(() => Atomics.wait(words, 3, 0, 1)).toThrow(TypeError);
    expect(Atomics.notify(words, 3)).toBe(0);
  });

  test('of a part shows that part', async () => {
    const { channel, run } = await far.open(async (peer, { told }) => {
      const { buffer } = await peer.map(await told<string>());
      return buffer.toString('latin1');
    });
    using region = createRegion(SIZE);
    region.buffer.write('.middle.', 10_000);
    run.tell((await channel.grant(region, { offset: 10_001, length: 6 })).reference);
    expect(await run.result).toBe('middle');
  });

  test.each([
    [{ offset: -1 }],
    [{ offset: SIZE }],
    [{ offset: 0.5 }],
    [{ length: 0 }],
    [{ length: SIZE + 1 }],
    [{ offset: 1, length: SIZE }],
    [{ access: 'execute' as 'read' }],
  ])('of %o of a region is refused', async (options) => {
    const [near] = await far.pair();
    using region = createRegion(SIZE);
    await expect(near.grant(region, options)).rejects.toEqual(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
  });

  test('is refused for what its region is not for', async () => {
    const [near] = await far.pair();
    using own = createRegion(SIZE);
    using shared = createRegion(SIZE, { writable: 'peers' });
    using frozen = createRegion(SIZE, { writable: 'peers' }).seal();
    const refused = coded('ERR_SHMLOOP_GRANT');
    await expect(near.grant(own, { access: 'write' })).rejects.toEqual(refused);
    await expect(near.grant(shared, { access: 'read' })).rejects.toEqual(refused);
    await expect(near.grant(frozen, { access: 'write' })).rejects.toEqual(refused);
    expect((await near.grant(frozen)).access).toBe('read');
  });

  test('is listed: who, what, how large, since when, and how often it is mapped', async () => {
    const { channel, run, agent } = await far.open(holder);
    const before = Date.now();
    using region = createRegion(SIZE);
    const grant = await channel.grant(region, { offset: 4096 });
    const row = { reference: grant.reference, access: 'read', immutable: false, offset: 4096, length: SIZE - 4096 };
    expect(grants()).toEqual([{ ...row, peer: channel.peer, since: expect.any(Date), maps: 0, revoked: false }]);
    expect(channel.peer.pid).toBe(agent.pid);
    expect(Number(grants()[0]?.since)).toBeGreaterThanOrEqual(before);
    run.tell(grant.reference);
    await run.said();
    expect(channel.grants()).toMatchObject([{ maps: 1 }]);
    void grant.revoke();
    expect(grants()).toMatchObject([{ maps: 1, revoked: true }]);
    run.tell();
    await grant.revoke();
    expect(grants()).toEqual([]);
  });

  test('of more than 1024 regions over a link is refused', async () => {
    const [near] = await far.pair();
    using region = createRegion(1);
    for (let i = 0; i < 1024; i++) await near.grant(region);
    await expect(near.grant(region)).rejects.toEqual(coded('ERR_SHMLOOP_GRANT'));
  });
});

test('a region is not made immutable while it is granted as a live one, also where nobody has mapped it', async () => {
  const [near, other] = await far.pair();
  using region = createRegion(4096);
  region.buffer.write('live');
  const grant = await near.grant(region);
  expect(() => region.seal()).toThrow(coded('ERR_SHMLOOP_GRANT'));
  using mapping = await other.map(grant.reference);
  expect([mapping.immutable, mapping.buffer.toString('latin1', 0, 4)]).toEqual([false, 'live']);

  using another = createRegion(4096);
  await (await near.grant(another)).revoke();
  expect(another.seal().immutable).toBe(true);
});

describe('a revoked grant', () => {
  test('tells who awaited the mapping, also when both were read in one batch', async () => {
    const { channel, run } = await far.open(async (peer, { told, say, describe }) => {
      const opening = peer.map(await told<string>());
      // The owner's answer and its revocation wait meanwhile.
      const until = Date.now() + 300;
      while (Date.now() < until);
      const mapping = await opening;
      mapping.revoked.addEventListener('abort', () => {
        say(describe(mapping.revoked.reason).code);
        mapping.close();
      });
    });
    using region = createRegion(SIZE);
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    await expect.poll(() => grant.maps, { interval: 5 }).toBe(1);
    await grant.revoke();
    expect(await run.said()).toBe('ERR_SHMLOOP_GRANT');
  });

  test('tells its holder, can be mapped no more, and is over when the holder lets go', async () => {
    const { channel, run } = await far.open(async (peer, { told, say, once, describe }) => {
      const reference = await told<string>();
      const mapping = await peer.map(reference);
      say('mapped');
      await once(mapping.revoked, 'abort');
      say([describe(mapping.revoked.reason).code, mapping.buffer.toString('latin1', 0, 4), mapping.closed]);
      say(await peer.map(reference).catch((error) => error.code));
      await told();
      mapping.close();
    });
    using region = createRegion(SIZE);
    region.buffer.write('data');
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    expect(await run.said()).toBe('mapped');
    let isOver = false;
    const over = grant.revoke().then(() => {
      isOver = true;
    });
    expect(await run.said()).toEqual(['ERR_SHMLOOP_GRANT', 'data', false]);
    expect(await run.said()).toBe('ERR_SHMLOOP_GRANT');
    expect(isOver).toBe(false);
    run.tell();
    await over;
    expect(grant.maps).toBe(0);
  });

  test('is over when the holder is killed', async () => {
    const { channel, run, agent } = await far.open(holder);
    using region = createRegion(SIZE);
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    await run.said();
    const over = grant.revoke();
    await agent.kill();
    await over;
    expect(grants()).toEqual([]);
  });

  test('is what the end of the region makes of it', async () => {
    const { channel, run } = await far.open(holder);
    const region = createRegion(SIZE);
    region.buffer.write('there');
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    expect(await run.said()).toBe('there');
    const before = uses(process.pid);
    region.close();
    expect(grant.revoked).toBe(true);
    expect(region.buffer.every((byte) => byte === 0)).toBe(true);
    const after = uses(process.pid);
    expect([before.maps - after.maps, before.descriptors - after.descriptors]).toEqual([1, 1]);
    await expect(channel.grant(region)).rejects.toEqual(coded('ERR_SHMLOOP_CLOSED'));
    run.tell();
    await grant.revoke();
  });
});

test('a mapping whose memory its holder transferred is let go of, and stays valid there', async () => {
  const [near, other] = await far.pair();
  using region = createRegion(4096);
  region.buffer.fill(1);
  const grant = await near.grant(region);
  const mapping = await other.map(grant.reference);
  const view = Buffer.from(transfer(mapping.buffer.buffer as ArrayBuffer));
  expect(view.every((byte) => byte === 1)).toBe(true);
  const revoked = grant.revoke();
  mapping.close();
  await revoked;
  expect(view.every((byte) => byte === 0)).toBe(true);
});

describe('a reference', () => {
  test.each(['', '0', '1', 'f'.repeat(32), 'f'.repeat(500), '\0'])(
    'that is forged is refused: %j',
    async (reference) => {
      const [near, other] = await far.pair();
      using region = createRegion(SIZE);
      await near.grant(region);
      await expect(other.map(reference)).rejects.toEqual(coded('ERR_SHMLOOP_GRANT'));
    },
  );

  test('of another channel is refused', async () => {
    const [near] = await far.pair();
    const [, elsewhere] = await far.pair();
    using region = createRegion(SIZE);
    const { reference } = await near.grant(region);
    await expect(elsewhere.map(reference)).rejects.toEqual(coded('ERR_SHMLOOP_GRANT'));
    await expect(near.map(reference)).rejects.toEqual(coded('ERR_SHMLOOP_GRANT'));
  });

  test('that is none is an error', async () => {
    const [near] = await far.pair();
    for (const reference of [1, undefined, 'x'.repeat(501)]) {
      await expect(near.map(reference as string)).rejects.toEqual(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
    }
  });
});

describe('the end of a channel', () => {
  test('lets go of what was mapped over it, after the holder was told', async () => {
    const { channel, run, agent } = await far.open(async (peer, { told, say }) => {
      const mapping = await peer.map(await told<string>());
      const look = () => [mapping.closed, mapping.buffer[0]];
      const heard = new Promise((resolve) => {
        mapping.revoked.addEventListener('abort', () => resolve(look()));
      });
      say('mapped');
      const whenHeard = await heard;
      // That the grant was revoked may be told before the end of the channel.
      while (!mapping.closed) await new Promise(setImmediate);
      return [whenHeard, look()];
    });
    using region = createRegion(SIZE);
    region.buffer.fill(9);
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    await run.said();
    await channel.close();
    expect(await run.result).toEqual([
      [false, 9],
      [true, 0],
    ]);
    await grant.revoke();
    expect(uses(agent.pid)).toEqual({ maps: 0, descriptors: 0 });
    await expect(channel.grant(region)).rejects.toEqual(coded('ERR_SHMLOOP_CLOSED'));
    await expect(channel.map('x')).rejects.toEqual(coded('ERR_SHMLOOP_CLOSED'));
  });

  test('by the death of the owner lets go of it as well', async () => {
    const { channel, run, agent } = await far.open(async (peer, { shmloop, say }) => {
      const region = shmloop.createRegion(3 * 1024 * 1024);
      region.buffer.fill(5);
      say((await peer.grant(region)).reference);
      await new Promise(() => undefined);
    });
    const mapping = await channel.map((await run.said()) as string);
    const { maps } = uses(process.pid);
    let last: number | undefined;
    mapping.revoked.addEventListener('abort', () => {
      last = mapping.buffer[SIZE - 1];
    });
    const over = new Promise((resolve) => channel.once('close', resolve));
    await agent.kill();
    await over;
    await new Promise(setImmediate);
    expect([last, mapping.closed, mapping.buffer[0]]).toEqual([5, true, 0]);
    expect(maps - uses(process.pid).maps).toBe(1);
  });

  test('rejects what was asked for and not answered', async () => {
    const [near, other] = await far.pair();
    const asked = other.map('f'.repeat(32));
    void other.close();
    await expect(asked).rejects.toEqual(coded('ERR_SHMLOOP_CLOSED'));
    void near.close();
  });
});

test('memory of another user is mapped where it is immutable, or trusted', () => {
  const own = process.geteuid?.() as number;
  expect(isSafe('read', own, false)).toBe(true);
  expect(isSafe('write', own, false)).toBe(true);
  expect(isSafe('read', own + 1, false)).toBe(false);
  expect(isSafe('write', own + 1, false)).toBe(false);
  expect(isSafe('read', own + 1, true)).toBe(true);
  expect(isSafe('immutable', own + 1, false)).toBe(true);
});
