import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Channel } from '../../../src/index.js';
import type { Tools } from '../../support/agent.js';
import type { Rig } from '../../support/rig.js';
import { pattern } from '../../support/ring.js';

/** Sends as many numbered messages as it is told, and again. */
async function sendNumbers(channel: Channel, { told }: Tools): Promise<void> {
  let next = 0;
  for (;;) {
    const count = await told<number>();
    if (count === 0) return channel.end();
    for (let i = 0; i < count; i++) {
      if (!channel.send(String(next++))) await channel.drained();
    }
  }
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

/** The ways to take messages: listeners, views, iteration. */
export function receiving(rig: Rig): void {
  test('messages wait for whoever takes them', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    far.tell(100);
    far.tell(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const received: string[] = [];
    channel.on('message', (message) => received.push(message.toString()));
    await once(channel, 'end');
    expect(received).toEqual(numbers(100));
  });

  test('a listener that is removed and added again misses nothing', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    const received: string[] = [];
    far.tell(1000);
    far.tell(0);
    const ended = once(channel, 'end');
    while (received.length < 1000) {
      const [message] = await once(channel, 'message');
      received.push(message.toString());
      // From this one on another takes a few.
      const more = (next: Buffer) => received.push(next.toString());
      channel.on('message', more);
      await new Promise((resolve) => setImmediate(resolve));
      channel.off('message', more);
    }
    const last = (message: Buffer) => received.push(message.toString());
    channel.on('message', last);
    await ended;
    expect(received).toEqual(numbers(1000));
  });

  test('once takes exactly one message', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    const received: string[] = [];
    far.tell(300);
    far.tell(0);
    for (let i = 0; i < 300; i++) received.push((await once(channel, 'message'))[0].toString());
    expect(received).toEqual(numbers(300));
  });

  test('consume sees each message once, in order', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    const received: string[] = [];
    channel.consume((view) => received.push(Buffer.from(view).toString()));
    far.tell(3000);
    far.tell(0);
    await once(channel, 'end');
    expect(received).toEqual(numbers(3000));
  });

  test('consume gets large messages whole, between small ones', async () => {
    const { channel } = await rig.open(
      async (channel, { args }) => {
        for (const length of args) {
          if (!channel.send(new Uint8Array(length).fill(length & 255))) await channel.drained();
        }
        await channel.end();
      },
      { args: [0, 10, rig.ringSize * 2, 20, rig.ringSize, 1] },
    );
    const received: [number, boolean][] = [];
    channel.consume((view) => {
      const copy = Buffer.from(view);
      received.push([copy.length, copy.every((byte) => byte === (copy.length & 255))]);
    });
    await once(channel, 'end');
    expect(received).toEqual([0, 10, rig.ringSize * 2, 20, rig.ringSize, 1].map((length) => [length, true]));
  });

  test('a channel that its consumer closes takes no more', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    let count = 0;
    const closed = once(channel, 'close');
    channel.consume(() => {
      if (++count === 3) void channel.close();
    });
    far.tell(10);
    await closed;
    expect(count).toBe(3);
  });

  test('a channel that its listener closes takes no more', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    let count = 0;
    const closed = once(channel, 'close');
    channel.on('message', () => {
      if (++count === 3) void channel.close();
    });
    far.tell(10);
    await closed;
    expect(count).toBe(3);
  });

  test('iteration takes every message, and ends with the channel', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    far.tell(2000);
    far.tell(0);
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(numbers(2000));
  });

  test('a loop that is left leaves the channel open, and the next one goes on from there', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    far.tell(10);
    const received: string[] = [];
    for await (const message of channel) {
      received.push(message.toString());
      if (received.length === 4) break;
    }
    far.tell(0);
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(numbers(10));
  });

  test('a loop that is left while it waits is over, and the next message is not its', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    const iterator = channel.regions();
    const waiting = [iterator.next(), iterator.next()];
    await iterator.return?.();
    far.tell(2);
    far.tell(0);
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(numbers(2));
    for (const result of [...waiting, iterator.next()]) expect(await result).toEqual({ value: undefined, done: true });
  });

  test('a channel whose loop is over can be listened to, or iterated again, to the same end', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    far.tell(0);
    const closed = once(channel, 'close');
    for (let i = 0; i < 2; i++) for await (const message of channel) throw new Error(`${message}`);
    await closed;
    channel.on('message', () => undefined);
  });

  test('iteration can start before there is anything, and be called ahead', async () => {
    const { channel, far } = await rig.open(sendNumbers);
    const iterator = channel[Symbol.asyncIterator]();
    const first = iterator.next();
    const second = iterator.next();
    far.tell(3);
    expect((await first).value.toString()).toBe('0');
    expect((await second).value.toString()).toBe('1');
    expect((await iterator.next()).value.toString()).toBe('2');
    far.tell(0);
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
  });

  test('a message is private memory: it stays as it was when the ring goes on', async () => {
    const { channel, far } = await rig.open(
      async (channel, { args }) => {
        for (let i = 0; i < args; i++) {
          if (!channel.send(new Uint8Array(i % 700).fill(i & 255))) await channel.drained();
        }
        await channel.end();
      },
      { args: 3000 },
    );
    const received: Buffer[] = [];
    for await (const message of channel) received.push(message);
    await far.result;
    expect(received.length).toBe(3000);
    const intact = received.every((message, i) => message.length === i % 700 && message.every((b) => b === (i & 255)));
    expect(intact).toBe(true);
  });

  test('messages are taken in one way at a time', async () => {
    const busy = expect.objectContaining({ code: 'ERR_SHMLOOP_BUSY' });
    const { channel, far } = await rig.open(sendNumbers);
    const ignore = () => undefined;
    channel.on('message', ignore);
    channel.on('message', pattern as never);
    expect(() => channel.consume(ignore)).toThrow(busy);
    expect(() => channel[Symbol.asyncIterator]()).toThrow(busy);
    expect(() => channel.stream()).toThrow(busy);
    expect(() => channel.receiveSync(0)).toThrow(busy);
    channel.off('message', ignore);
    channel.off('message', pattern as never);
    const iterator = channel[Symbol.asyncIterator]();
    expect(() => channel.on('message', ignore)).toThrow(busy);
    await iterator.return?.();
    channel.consume(ignore);
    expect(() => channel.on('message', ignore)).toThrow(busy);
    far.tell(0);
    await far.result;
  });
}
