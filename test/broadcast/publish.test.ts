import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  bind,
  connect,
  type Publisher,
  type PublishOptions,
  publish,
  type SubscribeOptions,
  type Subscription,
  subscribe,
} from '../../src/index.js';
import { type Agent, agentInProcess, agentInWorker, type Tools } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const open = useKeep();

const expelled = expect.objectContaining({ code: 'ERR_SHMLOOP_EXPELLED' });
const stopped: Agent[] = [];
afterEach(() => {
  for (const agent of stopped.splice(0)) process.kill(agent.pid, 'SIGCONT');
});

async function publishing(options?: PublishOptions): Promise<Publisher> {
  return open.keep(await publish('feed', options));
}

async function subscribing(): Promise<Subscription> {
  return open.keep(await subscribe('feed'));
}

function numbered(n: number, length = 100): Buffer {
  const message = Buffer.alloc(length, n & 0xff);
  message.writeUInt32LE(n);
  return message;
}

async function take(subscription: Subscription, count: number): Promise<number[]> {
  const numbers: number[] = [];
  for await (const message of subscription) {
    if (numbers.push(message.readUInt32LE(0)) === count) break;
  }
  return numbers;
}

function closed(thing: Publisher | Subscription): Promise<Error | undefined> {
  return new Promise((resolve) => thing.once('close', (error?: Error) => resolve(error)));
}

function joined(publisher: Publisher, count: number): Promise<void> {
  return new Promise((resolve) => {
    const check = () => publisher.subscribers >= count && resolve();
    publisher.on('join', check);
    check();
  });
}

/** Sends numbers from `from` to before `to`, and waits where it should. */
async function sendAll(publisher: Publisher, from: number, to: number, length?: number): Promise<void> {
  for (let n = from; n < to; n++) {
    if (!publisher.send(numbered(n, length))) await publisher.drained();
    if (n % 50 === 0) await new Promise(setImmediate);
  }
}

interface Account {
  received: number;
  first: number;
  last: number;
  /** Messages that do not follow the one before, but for those counted as lost. */
  gaps: number;
  lost: number;
  told: number;
  error: string | undefined;
}

/** Runs elsewhere: subscribes, reads to the end, and gives an account of it. */
async function readToEnd(_: unknown, { shmloop, say }: Tools): Promise<Account> {
  const subscription = await shmloop.subscribe('feed', { wait: true });
  const account: Account = { received: 0, first: -1, last: -1, gaps: 0, lost: 0, told: 0, error: undefined };
  let expected: number | undefined;
  subscription.on('lost', (count) => {
    account.told += count;
    if (expected !== undefined) expected += count;
  });
  subscription.on('message', (message) => {
    const n = message.readUInt32LE(0);
    expected ??= n;
    if (n !== expected || !message.subarray(4).every((byte) => byte === (n & 0xff))) account.gaps++;
    expected = n + 1;
    if (account.received++ === 0) account.first = n;
    account.last = n;
  });
  say('joined');
  return new Promise((resolve) => {
    subscription.on('close', (error) => {
      resolve({ ...account, lost: subscription.lost, error: (error as { code?: string } | undefined)?.code });
    });
  });
}

async function start(kind: () => Promise<Agent>) {
  const agent = await open.start(kind);
  const run = agent.start(readToEnd, { role: 'none' });
  await run.said();
  return { agent, run };
}

describe('publishing', () => {
  for (const kind of [agentInProcess, agentInWorker]) {
    test(`with block gives every message to every subscription (${kind.name})`, async () => {
      const publisher = await publishing({ policy: 'block', capacity: 4096 });
      const runs = [await start(kind), await start(kind)];
      await joined(publisher, 2);
      await sendAll(publisher, 0, 5000);
      await publisher.close();
      for (const { run } of runs) {
        const whole = { received: 5000, first: 0, last: 4999, gaps: 0, lost: 0, told: 0, error: undefined };
        expect(await run.result).toEqual(whole);
      }
    });

    test(`with drop-oldest counts exactly what each subscription lost (${kind.name})`, async () => {
      const publisher = await publishing({ policy: 'drop-oldest', capacity: 4096 });
      const runs = [await start(kind), await start(kind)];
      await joined(publisher, 2);
      for (let n = 0; n < 20_000; n++) {
        expect(publisher.send(numbered(n))).toBe(true);
        if (n % 500 === 0) await new Promise(setImmediate);
      }
      await publisher.close();
      for (const { run } of runs) {
        const account = await run.result;
        expect(account).toMatchObject({ gaps: 0, last: 19_999, error: undefined });
        expect(account.lost).toBeGreaterThan(0);
        expect(account.told).toBe(account.lost);
        expect(account.received + account.lost).toBe(20_000);
      }
    });
  }

  test('starts a late subscription with the newest message', async () => {
    for (const policy of ['block', 'drop-oldest'] as const) {
      const publisher = await publishing({ policy });
      await sendAll(publisher, 0, 10);
      const subscription = await subscribing();
      await sendAll(publisher, 10, 13);
      expect(await take(subscription, 4)).toEqual([9, 10, 11, 12]);
      expect(subscription.lost).toBe(0);
      await publisher.close();
      await subscription.close();
    }
  });

  test('begins afresh with a subscription whose memory another one had before', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096 });
    for (let round = 0; round < 5; round++) {
      const subscription = await subscribing();
      // More than there is room for: the writer looks at what the reader has read.
      for (let n = 0; n < 40; n++) publisher.send(numbered(n));
      expect(publisher.subscribers).toBe(1);
      // The first one is the last one of the round before.
      expect((await take(subscription, round === 0 ? 40 : 41)).at(-1)).toBe(39);
      await publisher.drained();
      const left = new Promise((resolve) => publisher.once('leave', (_, error) => resolve(error)));
      await subscription.close();
      expect(await left).toBeUndefined();
    }
  });

  test('goes on with nobody there, and keeps no message waiting', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096 });
    for (let n = 0; n < 1000; n++) expect(publisher.send(numbered(n))).toBe(true);
    expect(publisher.subscribers).toBe(0);
  });

  test('takes messages up to its capacity, and refuses larger ones', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096 });
    const subscription = await subscribing();
    expect(publisher.maxMessageSize).toBe(4080);
    expect(() => publisher.send(Buffer.alloc(4081))).toThrow(
      expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' }),
    );
    const sent = sendAll(publisher, 0, 5, 4080);
    expect(await take(subscription, 5)).toEqual([0, 1, 2, 3, 4]);
    await sent;
  });

  test('refuses a name that is taken, here or elsewhere, and gives it back', async () => {
    const publisher = await publishing();
    const taken = { code: 'EADDRINUSE' };
    await expect(publish('feed')).rejects.toMatchObject(taken);
    await expect(bind('feed')).rejects.toMatchObject(taken);
    const agent = await open.start(agentInProcess);
    const attempt = () =>
      agent.start(async (_, { shmloop, keep }) => void keep(await shmloop.publish('feed')), { role: 'none' }).result;
    await expect(attempt()).rejects.toMatchObject(taken);
    await publisher.close();
    expect(readdirSync(`${runtime.path}/shmloop`)).toEqual([]);
    await attempt();
    await expect(publish('feed')).rejects.toMatchObject(taken);
  });

  test('is not what channels connect to, nor can a server be subscribed to', async () => {
    await publishing();
    await open.bind('server');
    const refused = { code: 'ECONNREFUSED' };
    await expect(connect('feed')).rejects.toMatchObject(refused);
    await expect(subscribe('server')).rejects.toMatchObject(refused);
    await expect(subscribe('nobody')).rejects.toMatchObject(refused);
  });

  test('refuses options that make no sense', async () => {
    const invalid = { code: 'ERR_SHMLOOP_INVALID_ARGUMENT' };
    for (const options of [
      { policy: 'x' },
      { capacity: 5000 },
      { capacity: 2 ** 27 },
      { timeout: -1 },
      { timeout: 'x' },
      { allow: {} },
      { directory: 'relative' },
    ]) {
      await expect(publish('feed', options as PublishOptions)).rejects.toMatchObject(invalid);
    }
    for (const options of [{ wait: 1 }, { signal: 1 }, { expect: {} }, { directory: 'relative' }]) {
      await expect(subscribe('feed', options as SubscribeOptions)).rejects.toMatchObject(invalid);
    }
    await expect(publish('-')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_INVALID_NAME' });
    const publisher = await publishing();
    expect(() => publisher.send(5 as never)).toThrow(expect.objectContaining(invalid));
  });
});

describe('a reader that does not read', () => {
  test('holds nobody up with drop-oldest: it is stopped, goes on, and knows what it lost', async () => {
    const publisher = await publishing({ capacity: 4096 });
    const { agent, run } = await start(agentInProcess);
    const other = await start(agentInProcess);
    await joined(publisher, 2);
    process.kill(agent.pid, 'SIGSTOP');
    stopped.push(agent);
    for (let n = 0; n < 20_000; n++) {
      expect(publisher.send(numbered(n))).toBe(true);
      if (n % 20 === 0) await new Promise(setImmediate);
    }
    process.kill(agent.pid, 'SIGCONT');
    await publisher.close();
    for (const account of [await run.result, await other.run.result]) {
      expect(account).toMatchObject({ gaps: 0, last: 19_999, error: undefined });
      expect(account.received + account.lost).toBe(20_000);
    }
    expect((await run.result).lost).toBeGreaterThan(19_000);
  });

  test('is expelled with block when its time is up, and the others lose nothing', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: 1000 });
    const { agent, run } = await start(agentInProcess);
    const other = await start(agentInProcess);
    await joined(publisher, 2);
    const left = new Promise((resolve) => publisher.once('leave', (peer, error) => resolve([peer.pid, error])));
    process.kill(agent.pid, 'SIGSTOP');
    stopped.push(agent);
    await sendAll(publisher, 0, 1000);
    expect(await left).toEqual([agent.pid, expelled]);
    expect(publisher.subscribers).toBe(1);
    process.kill(agent.pid, 'SIGCONT');
    expect(await run.result).toMatchObject({ gaps: 0, lost: 0, error: 'ERR_SHMLOOP_EXPELLED' });
    await publisher.close();
    expect(await other.run.result).toMatchObject({ received: 1000, gaps: 0, lost: 0, error: undefined });
  });

  test('is expelled with block, and hears of it, although it takes nothing', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: 20 });
    const end = closed(await subscribing());
    await sendAll(publisher, 0, 100);
    expect(await end).toEqual(expelled);
  });

  test('is no reason for a drain within what is sent, if it has read by then', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096 });
    await start(agentInProcess);
    let isSending = false;
    let drains = 0;
    let within = 0;
    publisher.on('drain', () => {
      if (isSending) within++;
      else drains++;
    });
    while (drains < 2000) {
      isSending = true;
      const isSent = publisher.send(numbered(0));
      isSending = false;
      if (!isSent) await publisher.drained();
    }
    expect(within).toBe(0);
  });

  test('may take its time with block, and send says false, until it reads', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096 });
    const subscription = await subscribing();
    let sent = 0;
    while (publisher.send(numbered(sent))) sent++;
    expect(sent).toBe(Math.floor(4096 / 120));
    let isDrained = false;
    const drained = publisher.drained().then(() => {
      isDrained = true;
    });
    const event = new Promise<void>((resolve) => publisher.once('drain', resolve));
    await delay(20);
    expect(isDrained).toBe(false);
    const taking = take(subscription, sent + 1);
    await Promise.all([drained, event]);
    expect(await taking).toEqual(Array.from({ length: sent + 1 }, (_, n) => n));
  });

  test('that dies holds nobody up', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: Number.POSITIVE_INFINITY });
    const { agent } = await start(agentInProcess);
    const other = await start(agentInProcess);
    await joined(publisher, 2);
    process.kill(agent.pid, 'SIGSTOP');
    const sending = sendAll(publisher, 0, 1000);
    await delay(20);
    expect(publisher.send(numbered(0))).toBe(false);
    await agent.kill();
    await sending;
    await publisher.close();
    expect(await other.run.result).toMatchObject({ lost: 0, error: undefined, last: 999 });
  });

  test('and closes, holds nobody up', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: Number.POSITIVE_INFINITY });
    const subscription = await subscribing();
    while (publisher.send(numbered(0)));
    await subscription.close();
    await publisher.drained();
    expect(publisher.subscribers).toBe(0);
  });
});

describe('iterating', () => {
  test('a subscription that is over is done again, or fails again for its reason', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: 50 });
    const subscription = await subscribing();
    const slow = await subscribing();
    publisher.send(numbered(0, 4000));
    publisher.send(numbered(1, 4000));
    expect(await take(subscription, 2)).toEqual([0, 1]);
    await publisher.close();
    for (let i = 0; i < 3; i++) {
      expect(await take(subscription, 1)).toEqual([]);
      await expect(take(slow, 1)).rejects.toEqual(expelled);
    }
    for (const over of [subscription, slow]) over.on('message', () => undefined);
  });

  test('gives messages to one loop at a time, and to whoever listens after it', async () => {
    const publisher = await publishing();
    const subscription = await subscribing();
    const busy = expect.objectContaining({ code: 'ERR_SHMLOOP_BUSY' });
    const iterator = subscription[Symbol.asyncIterator]();
    expect(() => subscription[Symbol.asyncIterator]()).toThrow(busy);
    expect(() => subscription.on('message', () => undefined)).toThrow(busy);
    await iterator.return?.();
    const message = new Promise<Buffer>((resolve) => subscription.once('message', resolve));
    publisher.send(numbered(7));
    expect((await message).readUInt32LE(0)).toBe(7);
  });

  test('is done for who was waiting when the loop was left, and for good', async () => {
    const publisher = await publishing();
    const subscription = await subscribing();
    const iterator = subscription[Symbol.asyncIterator]();
    const waiting = [iterator.next(), iterator.next()];
    await iterator.return?.();
    publisher.send(numbered(1));
    publisher.send(numbered(2));
    const next = subscription[Symbol.asyncIterator]();
    expect((await next.next()).value.readUInt32LE(0)).toBe(1);
    // Of the loop that was left, it takes nothing from the one after it.
    const pending = next.next();
    expect([...(await Promise.all(waiting)), await iterator.next()]).toEqual(
      Array(3).fill({ value: undefined, done: true }),
    );
    await iterator.return?.();
    expect((await pending).value.readUInt32LE(0)).toBe(2);
  });
});

describe("a 'lost' listener that throws", () => {
  test.each(['listeners', 'iteration'])('costs no message, and is not caught (%s)', async (way) => {
    const publisher = await publishing({ capacity: 4096 });
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { args, shmloop, say, told }) => {
        let thrown = 0;
        let taken = 0;
        process.on('uncaughtException', () => thrown++);
        const subscription = await shmloop.subscribe('feed');
        subscription.on('lost', () => {
          throw new Error('thrown');
        });
        say('joined');
        await told();
        if (args === 'iteration') for await (const _message of subscription) taken++;
        else await new Promise((resolve) => subscription.on('message', () => taken++).on('close', resolve));
        // The error is thrown after the call that met it.
        await new Promise(setImmediate);
        return { thrown, all: taken + subscription.lost };
      },
      { role: 'none', args: way },
    );
    await run.said();
    for (let n = 0; n < 1000; n++) publisher.send(numbered(n));
    await publisher.close();
    run.tell();
    expect(await run.result).toEqual({ thrown: 1, all: 1000 });
  });
});

describe('the end', () => {
  test('comes to subscriptions after all that was sent', async () => {
    for (const policy of ['block', 'drop-oldest'] as const) {
      const publisher = await publishing({ policy });
      const subscription = await subscribing();
      for (let n = 0; n < 20; n++) publisher.send(numbered(n));
      await publisher.close();
      // It has heard of the end by now, and nobody took anything yet.
      await delay(10);
      expect(await take(subscription, 100)).toEqual(Array.from({ length: 20 }, (_, n) => n));
      expect(subscription.closed).toBe(true);
      expect(() => publisher.send('x')).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_CLOSED' }));
    }
  });

  test('waits for what waits for room, and for no reader longer than its time', async () => {
    const publisher = await publishing({ policy: 'block', capacity: 4096, timeout: 100 });
    const reading = await subscribing();
    const idle = await subscribing();
    const end = closed(idle);
    for (let n = 0; n < 200; n++) publisher.send(numbered(n));
    const closing = publisher.close();
    expect(await take(reading, 1000)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    await closing;
    await expect(take(idle, 1000)).rejects.toEqual(expelled);
    expect(await end).toEqual(expelled);
    // What it could still read would have a gap.
    expect(idle.lost).toBe(0);
  });

  test('of a publisher that is killed is ECONNRESET, after what it published', async () => {
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, say, told }) => {
        const publisher = await shmloop.publish('feed');
        say('ready');
        await told();
        for (let n = 0; n < 5; n++) publisher.send(Buffer.from([n]));
        await new Promise(setImmediate);
        process.kill(process.pid, 'SIGKILL');
      },
      { role: 'none' },
    );
    await run.said();
    const first = await subscribing();
    const second = await subscribing();
    const end = closed(second);
    const messages: number[] = [];
    second.on('message', (message) => messages.push(message[0] as number));
    run.tell();
    const iterate = async () => {
      for await (const message of first) messages.push(message[0] as number);
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await end).toMatchObject({ code: 'ECONNRESET' });
    expect(messages.sort()).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  });

  test('of a subscription comes by its signal, before it is open and after', async () => {
    const reason = new Error('enough');
    await expect(subscribe('feed', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const waiting = new AbortController();
    const opening = subscribe('feed', { wait: true, signal: waiting.signal });
    waiting.abort(reason);
    await expect(opening).rejects.toBe(reason);
    const publisher = await publishing();
    const controller = new AbortController();
    const subscription = await subscribe('feed', { signal: controller.signal });
    const end = closed(subscription);
    const next = subscription[Symbol.asyncIterator]().next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    expect(await end).toBe(reason);
    await new Promise<void>((resolve) =>
      publisher.subscribers === 0 ? resolve() : publisher.once('leave', () => resolve()),
    );
  });

  test('comes from within a listener', async () => {
    const publisher = await publishing();
    const subscription = await subscribing();
    const seen: number[] = [];
    subscription.on('message', (message) => {
      seen.push(message.readUInt32LE(0));
      if (seen.length === 3) void subscription.close();
    });
    const end = closed(subscription);
    for (let n = 0; n < 10; n++) publisher.send(numbered(n));
    await end;
    expect(seen).toEqual([0, 1, 2]);
  });

  test('comes from within the listener that is told of losses: no message follows', async () => {
    const publisher = await publishing({ policy: 'drop-oldest', capacity: 4096 });
    const subscription = await subscribing();
    let messages = 0;
    subscription.on('lost', () => void subscription.close());
    subscription.on('message', () => messages++);
    const end = closed(subscription);
    for (let n = 0; n < 100; n++) publisher.send(numbered(n));
    await end;
    expect(messages).toBe(0);
  });

  test('and every message come to a listener that throws', async () => {
    const publisher = await publishing();
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, say }) => {
        let thrown = 0;
        process.on('uncaughtException', () => thrown++);
        const subscription = await shmloop.subscribe('feed');
        subscription.on('message', () => {
          throw new Error('thrown');
        });
        say('joined');
        await new Promise((resolve) => subscription.on('close', resolve));
        return thrown;
      },
      { role: 'none' },
    );
    await run.said();
    for (let n = 0; n < 10; n++) publisher.send(numbered(n));
    await publisher.close();
    expect(await run.result).toBe(10);
  });

  test('of a publisher is told after its subscriptions left', async () => {
    const publisher = await publishing();
    await subscribing();
    const events: string[] = [];
    for (const event of ['leave', 'close'] as const) publisher.on(event, () => events.push(event));
    await publisher.close();
    expect(events).toEqual(['leave', 'close']);
  });

  test('lets go of everything: descriptors, mappings and files', async () => {
    const count = () => [
      readdirSync('/proc/self/fd').length,
      readFileSync('/proc/self/maps', 'latin1').match(/memfd:shmloop/g)?.length ?? 0,
    ];
    const cycle = async () => {
      const publisher = await publish('feed', { policy: 'block' });
      const subscriptions = await Promise.all([1, 2, 3, 4].map(() => subscribe('feed')));
      publisher.send('x');
      await subscriptions[0]?.close();
      await publisher.close();
      for (const subscription of subscriptions) await subscription.close();
    };
    // A link to this very domain is there already, and stays.
    const channel = await open.pair();
    await cycle();
    const before = count();
    for (let i = 0; i < 20; i++) await cycle();
    expect(count()).toEqual(before);
    expect(readdirSync(`${runtime.path}/shmloop`)).toEqual([]);
    expect(channel[0].closed).toBe(false);
  });

  test('comes with the process, which unreferenced ones do not keep alive', async () => {
    const publisher = await publishing();
    const agent = await open.start(agentInProcess);
    const run = agent.start(
      async (_, { shmloop, say }) => {
        (await shmloop.subscribe('feed')).unref().on('message', () => undefined);
        (await shmloop.publish('other')).unref();
        say('ready');
        process.channel?.unref();
      },
      { role: 'none' },
    );
    const left = new Promise<unknown[]>((resolve) => publisher.once('leave', (...args) => resolve(args)));
    await run.said();
    expect(await left).toHaveLength(1);
  });
});
