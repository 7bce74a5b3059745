import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Channel, createRegion, type MessagePart, type RegionMessage, RegionPool } from '../../src/index.js';
import { Port } from '../../src/link/index.js';
import type { SharedRegion } from '../../src/memory/index.js';
import { closed } from '../support/agent.js';
import { newName } from '../support/rig.js';
import { transfer } from '../support/transfer.js';
import { useFarEnds } from './far-ends.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const far = useFarEnds();
const coded = (code: string) => expect.objectContaining({ code });
const SIZE = 3 * 1024 * 1024;

/** The next message of a channel that takes them where they are. */
async function next(messages: AsyncIterator<RegionMessage>): Promise<RegionMessage> {
  return (await messages.next()).value;
}

/** How often a process has memory of that size mapped. */
function mapsOf(pid: number): number {
  const sizes = [...readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^(\w+)-(\w+) .*memfd:shmloop/gm)];
  return sizes.filter(([, from = '', to = '']) => Number.parseInt(to, 16) - Number.parseInt(from, 16) === SIZE).length;
}

/** Whether a promise is settled by the time that the event loop has turned a few times. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  return settled;
}

describe('a message in a region', () => {
  test("is seen where it is, and is the sender's again when it is released", async () => {
    const { channel, run } = await far.open(async (peer, { told, say }) => {
      const { value: message } = await peer.regions().next();
      say([message.length, message.immutable, message.buffer.toString('latin1', 0, 5)]);
      await told();
      say(message.buffer.toString('latin1', 0, 5));
      await told();
      message.release();
      message.release();
    });
    using region = createRegion(SIZE);
    region.buffer.write('.first', 4095);
    const released = channel.sendRegion(region, { offset: 4096, length: 5000 });
    expect(await run.said()).toEqual([5000, false, 'first']);
    region.buffer.write('later', 4096);
    run.tell();
    expect(await run.said()).toBe('later');
    expect(await isSettled(released)).toBe(false);
    run.tell();
    await released;
  });

  test('maps its region once, however many there are, until that is closed', async () => {
    const { channel, run, agent } = await far.open(async (peer, { say }) => {
      let sum = 0;
      for await (const message of peer.regions()) {
        sum += message.buffer[0] as number;
        message.release();
        if (sum % 100 === 0) say(sum);
      }
    });
    const region = createRegion(SIZE);
    region.buffer[0] = 1;
    for (let i = 0; i < 100; i++) void channel.sendRegion(region, { length: 64 });
    expect(await run.said()).toBe(100);
    expect(mapsOf(agent.pid)).toBe(1);
    expect(channel.grants()).toMatchObject([{ reference: undefined, maps: 1, length: SIZE }]);
    // Those that are on their way are still seen.
    for (let i = 0; i < 100; i++) void channel.sendRegion(region, { length: 64 });
    region.close();
    expect(await run.said()).toBe(200);
    while (channel.grants().length > 0) await new Promise(setImmediate);
    expect(mapsOf(agent.pid)).toBe(0);
    expect(() => channel.sendRegion(region)).toThrow(coded('ERR_SHMLOOP_CLOSED'));
  });

  test('that is still on its way when its region is closed arrives', async () => {
    const [near, other] = await far.pair();
    const region = createRegion(4096);
    const messages = other.regions();
    void near.sendRegion(region);
    (await next(messages)).release();
    region.buffer.fill(6);
    const released = near.sendRegion(region);
    region.close();
    // It stays in the ring, and all that is said of the region has been heard.
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    const message = await next(messages);
    expect(message.buffer.every((byte) => byte === 6)).toBe(true);
    message.release();
    await released;
  });

  test.each(['message', 'iteration', 'consume'])('is a private copy for who takes messages by %s', async (way) => {
    const [near, other] = await far.pair();
    using region = createRegion(SIZE);
    region.buffer.write('region');
    const taken = new Promise<Buffer>((resolve) => {
      if (way === 'message') other.once('message', resolve);
      else if (way === 'consume') other.consume((view) => resolve(Buffer.from(view)));
      else
        void other[Symbol.asyncIterator]()
          .next()
          .then(({ value }) => resolve(value));
    });
    await near.sendv(['a ', { region, length: 6 }, '!']);
    region.buffer.fill(0);
    expect((await taken).toString()).toBe('a region!');
  });

  test('is a private copy for who waits for it with its thread blocked', async () => {
    const { channel, run } = await far.open(async (peer) => peer.receiveSync(10_000)?.toString());
    using region = createRegion(SIZE);
    region.buffer.write('region');
    await channel.sendRegion(region, { length: 6 });
    expect(await run.result).toBe('region');
  });

  test('has parts: bytes, which are copied at once, and pieces of regions', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(SIZE);
    using another = createRegion(4096).seal();
    region.buffer.write('one, two');
    const small = Buffer.from('small');
    void near.sendv([small, { region, length: 3 }, '', { region, offset: 5, length: 3 }, another]);
    small.fill(0);
    const message = await next(other.regions());
    const texts = message.buffers.map((buffer) => buffer.toString('latin1', 0, 5));
    expect(texts).toEqual(['small', 'one', '', 'two', '\0\0\0\0\0']);
    expect([message.length, message.buffer.length, message.immutable]).toEqual([4107, 4107, false]);
    message.release();
  });

  test('that has large parts of its own goes in parts', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(SIZE);
    region.buffer.fill(2);
    void near.sendv([Buffer.alloc(5_000_000, 1), region]);
    const message = await next(other.regions());
    expect(message.buffers[0]?.equals(Buffer.alloc(5_000_000, 1))).toBe(true);
    expect(message.buffers[1]?.equals(Buffer.alloc(SIZE, 2))).toBe(true);
    message.release();
  });

  test('comes in order with other messages, which come likewise', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(SIZE);
    for (let i = 0; i < 50; i++) {
      region.buffer[i] = i;
      near.send(Buffer.from([i]));
      void near.sendRegion(region, { offset: i, length: 1 });
    }
    void near.end();
    const seen: number[] = [];
    for await (using message of other.regions()) seen.push(message.buffer[0] as number);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i >> 1));
  });

  test('goes over a one-way channel, too', async () => {
    const server = await far.bind('one-way', { direction: 'receive' });
    const near = await far.connect('one-way');
    const other = await far.accept(server);
    using region = createRegion(SIZE);
    const released = near.sendRegion(region);
    (await next(other.regions())).release();
    await released;
  });

  test('larger than the other end takes is not sent', async () => {
    const [near] = await far.pair({ far: { maxMessageSize: 4096 } });
    using region = createRegion(SIZE);
    expect(() => near.sendRegion(region, { length: 4097 })).toThrow(coded('ERR_SHMLOOP_MESSAGE_SIZE'));
    expect(() => near.sendv([region])).toThrow(coded('ERR_SHMLOOP_MESSAGE_SIZE'));
  });

  test.each([
    ['one piece', 16, (region: SharedRegion) => [{ region, length: 16 }]],
    ['1024 pieces', 1024, (region: SharedRegion) => Array(1024).fill({ region, length: 1 })],
    ['bytes', 100_000, () => [Buffer.alloc(100_000)]],
  ])('as large as the other end takes, of %s, arrives', async (_of, maxMessageSize, partsOf) => {
    const [near, other] = await far.pair({ far: { maxMessageSize, ringSize: 65_536 } });
    using region = createRegion(4096);
    const released = near.sendv(partsOf(region));
    using message = await next(other.regions());
    expect(message.length).toBe(maxMessageSize);
    message.release();
    await released;
  });

  test('of nothing, or of what is none, is not sent', async () => {
    const [near] = await far.pair();
    using region = createRegion(SIZE);
    const invalid = coded('ERR_SHMLOOP_INVALID_ARGUMENT');
    expect(() => near.sendRegion(region, { offset: SIZE })).toThrow(invalid);
    expect(() => near.sendRegion({} as never)).toThrow(invalid);
    expect(() => near.sendv([])).toThrow(invalid);
    expect(() => near.sendv('text' as never)).toThrow(invalid);
    expect(() => near.sendv([5 as never])).toThrow(invalid);
    expect(() => near.sendv(new Array(1025).fill('x'))).toThrow(invalid);
    expect(() => near.regions({ trusted: 1 as never })).toThrow(invalid);
  });
});

describe('what the receiver has of a message', () => {
  test('is released by the collector when nobody holds it', async () => {
    const { channel, run } = await far.open(async (peer, { say }) => {
      process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
      const collect = process.getBuiltinModule('node:vm').runInNewContext('gc');
      const messages = peer.regions();
      let kept: Buffer | undefined = (await messages.next()).value.buffer;
      await messages.next();
      const done = peer[Symbol.asyncIterator] !== undefined;
      for (let i = 0; i < 10; i++) {
        collect();
        await new Promise(setImmediate);
      }
      say([done, kept?.length]);
      kept = undefined;
      const timer = setInterval(collect, 10);
      await messages.next();
      clearInterval(timer);
    });
    using region = createRegion(SIZE);
    const first = channel.sendRegion(region, { length: 10 });
    const second = channel.sendRegion(region, { length: 20 });
    // Its buffer is held: so is the message.
    expect(await run.said()).toEqual([true, 10]);
    await second;
    expect(await isSettled(first)).toBe(false);
  });

  test('stays as it is when the sender is killed, until it is released', async () => {
    const { channel, run, agent } = await far.open(async (peer, { shmloop, say }) => {
      const region = shmloop.createRegion(3 * 1024 * 1024);
      region.buffer.fill(7);
      void peer.sendRegion(region);
      say();
      await new Promise(() => undefined);
    });
    const message = await next(channel.regions());
    await run.said();
    const over = closed(channel);
    await agent.kill();
    await over;
    expect(message.buffer.every((byte) => byte === 7)).toBe(true);
    expect(mapsOf(process.pid)).toBe(1);
    message.release();
    expect(mapsOf(process.pid)).toBe(0);
  });

  test('comes although the sender exits right after it', async () => {
    const { channel } = await far.open(async (peer, { shmloop }) => {
      const region = shmloop.createRegion(3 * 1024 * 1024);
      region.buffer.fill(7);
      void peer.sendRegion(region);
      process.exit();
    });
    const message = await next(channel.regions());
    expect(message.buffer.every((byte) => byte === 7)).toBe(true);
    message.release();
  });

  test.each(['sender', 'receiver'])(
    "stays when the %s closes the channel, and only then is the sender's",
    async (who) => {
      const [near, other] = await far.pair();
      using region = createRegion(SIZE);
      region.buffer.fill(7);
      const released = near.sendRegion(region);
      const message = await next(other.regions());
      await (who === 'sender' ? near : other).close();
      expect(await isSettled(released)).toBe(false);
      expect(message.buffer.every((byte) => byte === 7)).toBe(true);
      message.release();
      await released;
      expect(mapsOf(process.pid)).toBe(1);
    },
  );

  test("holds up the answer to the sender's end, so that its release still counts", async () => {
    const [near, other] = await far.pair();
    using region = createRegion(SIZE);
    const released = near.sendRegion(region);
    void near.end();
    const messages = other.regions();
    const message = await next(messages);
    expect((await messages.next()).done).toBe(true);
    expect(await isSettled(closed(near))).toBe(false);
    message.release();
    await Promise.all([released, closed(near), closed(other)]);
  });

  test("can be answered in the turn in which it is released, although the sender's end came before", async () => {
    const { channel, run } = await far.open(async (peer) => {
      const ended = new Promise<void>((resolve) => peer.once('end', resolve));
      let last: RegionMessage | undefined;
      for await (const message of peer.regions()) last = message;
      await ended;
      last?.release();
      return peer.send('answer');
    });
    using region = createRegion(SIZE);
    void channel.sendRegion(region);
    await channel.end();
    const answers: string[] = [];
    for await (const message of channel) answers.push(message.toString());
    expect([answers, await run.result]).toEqual([['answer'], true]);
  });

  test('is released by an end that sends no more', async () => {
    const [near, other] = await far.pair({ near: { allowHalfOpen: true } });
    void other.end();
    await new Promise<void>((resolve) => near.once('end', resolve));
    using region = createRegion(SIZE);
    const released = near.sendRegion(region);
    (await next(other.regions())).release();
    await released;
    await near.end();
  });

  test('is released in order by who closes right after it', async () => {
    for (let i = 0; i < 50; i++) {
      const [near, other] = await far.pair();
      using region = createRegion(4096);
      const released = near.sendRegion(region);
      (await next(other.regions())).release();
      const over = closed(near);
      void other.close();
      await released;
      expect(await over).toEqual(coded('ECONNRESET'));
      expect(near.grants()).toEqual([]);
    }
  });

  test('is released once, also where its release is read when the receiver is known to be gone', async () => {
    const [near, other] = await far.pair({ near: { ringSize: 1 << 22 } });
    using region = createRegion(4096);
    const released = near.sendRegion(region);
    const message = await next(other.regions());
    // More than is set aside, so that the release waits behind them.
    for (let i = 0; i < 3; i++) other.send(Buffer.alloc(600_000, i));
    message.release();
    void other.close();
    await released;
    const taken: number[] = [];
    const taking = (async () => {
      for await (const { 0: first } of near) taken.push(first as number);
    })();
    await expect(taking).rejects.toEqual(coded('ECONNRESET'));
    expect(taken).toEqual([0, 1, 2]);
  });

  describe('is released although the sender leaves', () => {
    const turns = async () => {
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    };
    const release = async ([near, other]: [Channel, Channel]) => {
      using region = createRegion(4096);
      const released = near.sendRegion(region);
      const message = await next(other.regions());
      message.release();
      message.release();
      await released;
    };

    test('a message in its ring that came before it sent', async () => {
      const ends = await far.pair();
      ends[1].send('nobody takes this');
      await turns();
      await release(ends);
    });

    test.each(['next', 'receiveSync'])('messages, and takes them by %s before it sends', async (way) => {
      const ends = await far.pair();
      for (const text of ['nobody takes this', 'yet']) ends[1].send(text);
      await turns();
      for (let i = 0; i < 2; i++) {
        if (way === 'next') await ends[0][Symbol.asyncIterator]().next();
        else ends[0].receiveSync();
      }
      await turns();
      await release(ends);
    });

    test('more than its ring holds, all of which it takes later', async () => {
      const ends = await far.pair({ near: { ringSize: 65_536 } });
      const [near, other] = ends;
      for (let i = 0; i < 3; i++) other.send(Buffer.alloc(1_000_000, i));
      for (let i = 0; i < 100; i++) await release(ends);
      void other.end();
      const seen: unknown[] = [];
      for await (const { 0: first, length } of near) seen.push([first, length]);
      expect(seen).toEqual([0, 1, 2].map((i) => [i, 1_000_000]));
    });

    test('a request that it has no handler for', async () => {
      const ends = await far.pair();
      const request = ends[1].request('how?');
      await release(ends);
      ends[0].handle(() => 'so');
      expect((await request).toString()).toBe('so');
    });
  });

  test('is released although the receiver transferred its memory, and its channel takes no more in that', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(4096);
    const messages = other.regions();
    const first = near.sendRegion(region);
    const message = await next(messages);
    transfer(message.buffer.buffer as ArrayBuffer);
    message.release();
    await first;
    const second = near.sendRegion(region);
    await expect(next(messages)).rejects.toEqual(coded('ERR_SHMLOOP_REGION'));
    await second;
  });

  test('is released while the receiver fills a slot', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(4096);
    const released = near.sendRegion(region);
    const message = await next(other.regions());
    other.reserve(100);
    message.release();
    await released;
    other.cancelReservation();
  });

  test('is released in the ring where nothing else is unread there', async () => {
    const [near, other] = await far.pair();
    const tell = vi.spyOn(Port.prototype, 'tell');
    using region = createRegion(4096);
    const messages = other.regions();
    other.send('taken');
    await near[Symbol.asyncIterator]().next();
    for (let round = 0; round < 3; round++) {
      const released = Array.from({ length: 100 }, () => near.sendRegion(region));
      for (let i = 0; i < 100; i++) (await next(messages)).release();
      await Promise.all(released);
    }
    expect(tell.mock.calls.map(([{ kind }]) => kind)).toEqual(['pass']);
    tell.mockRestore();
  });

  test("is the sender's again when the receiver is killed", async () => {
    const { channel, run, agent } = await far.open(async (peer, { say }) => {
      const { value } = await peer.regions().next();
      say();
      await new Promise(() => value);
    });
    using pool = new RegionPool({ size: SIZE });
    const released = channel.sendRegion(pool.allocate(1000));
    await run.said();
    expect(await isSettled(released)).toBe(false);
    await agent.kill();
    await released;
    expect(pool.used).toBe(0);
  });
});

test('a flood of small frames that stand for much does not hold up the event loop of who copies', async () => {
  const { channel, run } = await far.open(async (peer, { shmloop }) => {
    const region = shmloop.createRegion(2 * 1024 * 1024);
    region.buffer.fill(1);
    const all: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) all.push(peer.sendRegion(region));
    await Promise.all(all);
  });
  const inTurn = new Map<number, number>();
  let turn = 0;
  const immediate = () => {
    turn++;
    counting = setImmediate(immediate);
  };
  let counting = setImmediate(immediate);
  channel.on('message', () => inTurn.set(turn, (inTurn.get(turn) ?? 0) + 1));
  await run.result;
  clearImmediate(counting);
  const counts = [...inTurn.values()];
  expect(counts.reduce((sum, count) => sum + count)).toBe(100);
  // One by the domain's immediate, and one where a doorbell woke it.
  expect(Math.max(...counts)).toBeLessThanOrEqual(2);
});

describe('a message in a region that is too large to be copied in one turn', () => {
  const large = 64 * 1024 * 1024;
  const isSame = (message: Buffer) => message.length === large && message.indexOf(0) === -1;

  test('is copied over many, and comes in order', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(large);
    region.buffer.fill(1);
    const turns: number[] = [];
    let turn = 0;
    const immediate = () => {
      turn++;
      counting = setImmediate(immediate);
    };
    let counting = setImmediate(immediate);
    const sizes: number[] = [];
    other.on('message', (message) => {
      sizes.push(message.length);
      turns.push(turn);
      if (message.length > 1) expect(isSame(message)).toBe(true);
    });
    near.send('1');
    const released = near.sendRegion(region);
    near.send('2');
    await near.end();
    await Promise.all([released, closed(other)]);
    clearImmediate(counting);
    expect(sizes).toEqual([1, large, 1]);
    expect((turns[1] as number) - (turns[0] as number)).toBeGreaterThanOrEqual(30);
  });

  test('is there at once for who blocks its thread', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(large);
    region.buffer.fill(1);
    const released = near.sendRegion(region);
    await new Promise(setImmediate);
    expect(isSame(other.receiveSync(1000) as Buffer)).toBe(true);
    await released;
  });

  test('comes although the sender exits', async () => {
    const { channel } = await far.open(async (peer, { shmloop }) => {
      const region = shmloop.createRegion(64 * 1024 * 1024);
      region.buffer.fill(1);
      void peer.sendRegion(region);
      process.exit();
    });
    const { value } = await channel[Symbol.asyncIterator]().next();
    expect(isSame(value)).toBe(true);
  });

  test('is given back by who closes meanwhile', async () => {
    const [near, other] = await far.pair();
    using region = createRegion(large);
    const released = near.sendRegion(region);
    other.on('message', () => expect.unreachable());
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    void other.close();
    await released;
  });
});

describe('messages that nobody has taken when the channel is over', () => {
  const pools: RegionPool[] = [];
  afterEach(() => {
    for (const pool of pools.splice(0)) pool.close();
  });

  /** Sends ten messages, lets the other end do what it does, and closes. @returns the pool, and the other end */
  async function leave(what: (channel: Channel) => unknown): Promise<{ pool: RegionPool; left: Channel }> {
    const server = await far.bind(newName());
    const near = await far.connect(server.name);
    const { value } = await server[Symbol.asyncIterator]().next();
    const left: Channel = value;
    const pool = new RegionPool({ size: 1 << 20 });
    pools.push(pool);
    for (let i = 0; i < 10; i++) void near.sendRegion(pool.allocate(4096));
    await what(left);
    await near.close();
    await closed(left);
    return { pool, left };
  }

  async function takeOne(channel: Channel) {
    for await (const message of channel.regions()) {
      message.release();
      break;
    }
  }

  test.each([
    ['took one', takeOne],
    ['handles requests', (channel: Channel) => channel.handle(() => undefined)],
  ])('are given back when they are collected with a channel that %s', async (_, what) => {
    const { pool } = await leave(what);
    while (pool.used > 0) {
      collect();
      await new Promise(setImmediate);
    }
  });

  test('can be taken still, and are given back by close()', async () => {
    const { pool, left } = await leave(takeOne);
    const sizes: number[] = [];
    for await (using message of left.regions()) {
      sizes.push(message.length);
      if (sizes.length === 3) break;
    }
    expect(sizes).toEqual([4096, 4096, 4096]);
    await left.close();
    while (pool.used > 0) await new Promise(setImmediate);
  });
});

describe('a pool', () => {
  const pair = async (): Promise<[Channel, AsyncIterator<RegionMessage>]> => {
    const [near, other] = await far.pair();
    return [near, other.regions()];
  };

  test('gives a block that came back first, and says when there is none', async () => {
    const [near, messages] = await pair();
    using pool = new RegionPool({ size: 16_384 });
    const block = pool.allocate(8000);
    expect([block.buffer.length, block.length, pool.used, pool.size]).toEqual([8000, 8000, 8192, 16_384]);
    pool.allocate(8192);
    expect(() => pool.allocate(1)).toThrow(coded('ERR_SHMLOOP_POOL'));
    const released = near.sendRegion(block);
    (await next(messages)).release();
    await released;
    expect(pool.allocate(5000).offset).toBe(block.offset);
  });

  test('waits for blocks to come back, for those who asked first', async () => {
    using pool = new RegionPool({ size: 8192 });
    const block = pool.allocate(8192);
    const order: string[] = [];
    const taken = async <T>(what: string, taking: Promise<T>): Promise<T> => {
      const block = await taking;
      order.push(what);
      return block;
    };
    const signal = AbortSignal.abort(new Error('no more'));
    const controller = new AbortController();
    const large = taken('large', pool.allocateWhenFree(8192));
    const given = pool.allocateWhenFree(4096, controller).catch((error) => order.push(error.message));
    const small = taken('small', pool.allocateWhenFree(1));
    await expect(pool.allocateWhenFree(1, { signal })).rejects.toThrow('no more');
    controller.abort(new Error('given up'));
    await given;
    block.free();
    block.free();
    (await large).free();
    (await small).free();
    expect(order).toEqual(['given up', 'large', 'small']);
    expect(pool.used).toBe(0);
  });

  test('gets a block back at the end of its scope, whatever is thrown, unless it was sent', async () => {
    const [near, messages] = await pair();
    using pool = new RegionPool({ size: 4096 });
    const fail = () => {
      using block = pool.allocate(100);
      throw new Error(`${block.length} bytes`);
    };
    expect(fail).toThrow('100 bytes');
    expect(pool.used).toBe(0);
    {
      using block = pool.allocate(5);
      block.buffer.write('whole');
      void near.sendRegion(block);
    }
    const message = await next(messages);
    expect([pool.used, message.buffer.toString()]).toEqual([4096, 'whole']);
    const back = pool.allocateWhenFree(1);
    message.release();
    await back;
  });

  test('does not get back what the collector finds: a view of it may be written to', async () => {
    using pool = new RegionPool({ size: 4096 });
    const drop = (): [WeakRef<object>, Buffer] => {
      const block = pool.allocate(100);
      return [new WeakRef(block), block.buffer.subarray(10)];
    };
    const [block, view] = drop();
    for (let i = 0; i < 10; i++) {
      await new Promise(setImmediate);
      collect();
    }
    expect(block.deref()).toBeUndefined();
    view.write('still written to');
    expect(pool.used).toBe(4096);
    expect(() => pool.allocate(1)).toThrow(coded('ERR_SHMLOOP_POOL'));
  });

  test('puts small blocks together again', () => {
    using pool = new RegionPool({ size: 1 << 16 });
    for (let round = 0; round < 3; round++) {
      const blocks = Array.from({ length: 16 }, () => pool.allocate(4096));
      expect(new Set(blocks.map(({ offset }) => offset)).size).toBe(16);
      for (const block of blocks) block.free();
      pool.allocate(1 << 16).free();
    }
  });

  test('gets a block back that went to two receivers when both have released it', async () => {
    const [one, first] = await pair();
    const [two, second] = await pair();
    using pool = new RegionPool({ size: 4096 });
    const block = pool.allocate(100);
    block.buffer.write('both');
    const released = [one.sendRegion(block), two.sendv(['x', block])];
    const taken = [await next(first), await next(second)];
    expect(taken.map(({ buffer }) => buffer.toString('latin1', 0, 5))).toEqual(['both\0', 'xboth']);
    taken[0]?.release();
    await released[0];
    expect(pool.used).toBe(4096);
    taken[1]?.release();
    await released[1];
    expect(pool.used).toBe(0);
  });

  test('sends a piece of a block', async () => {
    const [near, messages] = await pair();
    using pool = new RegionPool({ size: 8192 });
    pool.allocate(4096);
    const block = pool.allocate(100);
    block.buffer.write('.piece.');
    expect(() => near.sendRegion(block, { length: 101 })).toThrow(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
    void near.sendRegion(block, { offset: 1, length: 5 });
    using message = await next(messages);
    expect(message.buffer.toString()).toBe('piece');
  });

  test('refuses a block that came back, and a size that it never has', async () => {
    const [near] = await pair();
    using pool = new RegionPool({ size: 8192 });
    const block = pool.allocate(10);
    block.free();
    expect(() => near.sendRegion(block)).toThrow(coded('ERR_SHMLOOP_POOL'));
    for (const length of [0, 8193, 1.5])
      expect(() => pool.allocate(length)).toThrow(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
    expect(() => new RegionPool({ size: 0 })).toThrow(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
    pool.close();
    expect(() => pool.allocate(1)).toThrow(coded('ERR_SHMLOOP_CLOSED'));
  });

  test.each(['there', 'gone'])(
    'is left as it is by a message with a block that came back, to who is %s',
    async (is) => {
      const [near, other] = await far.pair();
      if (is === 'gone') {
        const over = closed(near);
        await other.close();
        await over;
      }
      using pool = new RegionPool({ size: 8192 });
      const [block, back] = [pool.allocate(10), pool.allocate(10)];
      back.free();
      const sends: MessagePart[][] = [
        [block, back],
        [block, block, back],
      ];
      for (const parts of sends) expect(() => near.sendv(parts)).toThrow(coded('ERR_SHMLOOP_POOL'));
      expect(pool.used).toBe(4096);
      block.free();
      expect(pool.used).toBe(0);
    },
  );

  test('has no blocks where its memory was transferred', async () => {
    using pool = new RegionPool({ size: 8192 });
    transfer(pool.region.buffer.buffer as ArrayBuffer);
    expect(() => pool.allocate(1)).toThrow(coded('ERR_SHMLOOP_REGION'));
    await expect(pool.allocateWhenFree(1)).rejects.toEqual(coded('ERR_SHMLOOP_REGION'));
    expect(pool.used).toBe(0);
  });

  test('has a region that is not made immutable: what is written to the next block would stay private', async () => {
    using pool = new RegionPool({ size: 4096 });
    expect(() => pool.region.seal()).toThrow(coded('ERR_SHMLOOP_GRANT'));
    pool.allocate(1);
    expect(() => pool.region.seal()).toThrow(coded('ERR_SHMLOOP_GRANT'));
  });

  test.each(['pool', 'region'])('is closed by its %s, and who waits for a block hears of it', async (what) => {
    const pool = new RegionPool({ size: 4096 });
    const block = pool.allocate(1);
    const waiting = expect(pool.allocateWhenFree(1)).rejects.toEqual(coded('ERR_SHMLOOP_CLOSED'));
    if (what === 'pool') pool.close();
    else pool.region.close();
    await waiting;
    block.free();
    expect(() => pool.allocate(1)).toThrow(coded('ERR_SHMLOOP_CLOSED'));
    pool.close();
  });

  test('gets back a block that is in a message twice', async () => {
    const [near, messages] = await pair();
    using pool = new RegionPool({ size: 4096 });
    const block = pool.allocate(10);
    const released = near.sendv([block, block]);
    const message = await next(messages);
    expect([message.length, pool.used]).toEqual([20, 4096]);
    message.release();
    await released;
    expect(pool.used).toBe(0);
  });

  test('gets back a block that is sent to who is gone', async () => {
    const [near, other] = await far.pair();
    using pool = new RegionPool({ size: 4096 });
    const block = pool.allocate(10);
    const over = closed(near);
    void other.close();
    // The application may not have heard yet, or it may.
    await near.sendRegion(block);
    await over;
    expect(pool.used).toBe(0);
    expect(() => near.sendRegion(pool.allocate(10))).not.toThrow();
    expect(pool.used).toBe(0);
  });

  test('and a filter with a small one of its own pass thousands of messages to and fro', async () => {
    const { channel, run } = await far.open(async (peer, { shmloop }) => {
      const pool = new shmloop.RegionPool({ size: 16_384 });
      for await (const message of peer.regions()) {
        const block = await pool.allocateWhenFree(message.length);
        message.buffer.copy(block.buffer);
        message.release();
        void peer.sendRegion(block);
      }
    });
    let taken = 0;
    const taking = (async () => {
      for await (using message of channel.regions()) taken += message.buffer[0] as number;
    })();
    using pool = new RegionPool({ size: 1 << 16 });
    const over = closed(channel);
    for (let i = 0; i < 5000; i++) {
      const block = await pool.allocateWhenFree(4096);
      block.buffer[0] = 1;
      void channel.sendRegion(block);
    }
    void channel.end();
    await Promise.all([taking, over, run.result]);
    expect(taken).toBe(5000);
    // Its last releases and the end come by different ways.
    while (pool.used > 0) await new Promise(setImmediate);
  });

  test('serves thousands of messages to another process, and has all blocks back', async () => {
    const { channel, run } = await far.open(async (peer) => {
      let sum = 0;
      for await (const message of peer.regions()) {
        sum += message.buffer[0] as number;
        message.release();
      }
      return sum;
    });
    using pool = new RegionPool({ size: 1 << 16 });
    for (let i = 0; i < 5000; i++) {
      const block = await pool.allocateWhenFree(16_000);
      block.buffer.fill(1);
      void channel.sendRegion(block);
    }
    void channel.end();
    expect(await run.result).toBe(5000);
    await closed(channel);
    expect(pool.used).toBe(0);
  });
});
