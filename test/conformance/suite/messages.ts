import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Channel } from '../../../src/index.js';
import type { Tools } from '../../support/agent.js';
import type { Rig } from '../../support/rig.js';
import { pattern } from '../../support/ring.js';

const MIB = 1024 * 1024;

async function echo(channel: Channel): Promise<void> {
  for await (const message of channel) {
    if (!channel.send(message)) await channel.drained();
  }
}

async function hashes(channel: Channel, { hash }: Tools): Promise<string[]> {
  const all: string[] = [];
  for await (const message of channel) all.push(hash(message));
  return all;
}

/** Each message is its number, and as many bytes more as the number says. */
async function checkNumbered(channel: Channel): Promise<number> {
  let next = 0;
  for await (const message of channel) {
    const length = 4 + ((next * 37) % 997);
    if (message.readUInt32LE(0) !== next || message.length !== length) {
      throw new Error(`message ${next}: number ${message.readUInt32LE(0)}, ${message.length} bytes`);
    }
    next++;
  }
  return next;
}

function numbered(number: number): Buffer {
  const message = Buffer.alloc(4 + ((number * 37) % 997));
  message.writeUInt32LE(number, 0);
  return message;
}

function hash(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Messages: boundaries, sizes, order, backpressure. */
export function messages(rig: Rig): void {
  test('messages of any size come back as they were sent, boundaries kept', async () => {
    const { channel } = await rig.open(echo);
    const whole = channel.maxReservation;
    const sizes = [0, 1, 7, 8, 9, 248, 249, 255, 256, 257, whole - 1, whole, whole + 1, 2 * whole, 4095, 4096, 4097];
    const sent = [...sizes, 65_535, 65_536, rig.ringSize, 3 * rig.ringSize + 5].map((size) => pattern(size, size));
    for (const message of sent) channel.send(message);
    const received: Buffer[] = [];
    for await (const message of channel) {
      received.push(message);
      if (received.length === sent.length) break;
    }
    expect(received.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
    expect(received.every((message, i) => message.equals(sent[i] as Buffer))).toBe(true);
  });

  test('a message of 10 MiB goes through any ring', async () => {
    const { channel, far } = await rig.open(hashes);
    const data = randomBytes(10 * MIB);
    channel.send(data);
    channel.send('after it');
    await channel.end();
    expect(await far.result).toEqual([hash(data), hash(Buffer.from('after it'))]);
  });

  test('order is kept, and nothing is lost, when the ring is full again and again', async () => {
    const { channel, far } = await rig.open(checkNumbered);
    for (let i = 0; i < 10_000; i++) {
      if (!channel.send(numbered(i))) await channel.drained();
    }
    await channel.end();
    expect(await far.result).toBe(10_000);
  });

  test('order is kept for who never waits for room', async () => {
    const { channel, far } = await rig.open(checkNumbered);
    for (let i = 0; i < 5000; i++) channel.send(numbered(i));
    await channel.end();
    expect(await far.result).toBe(5000);
  });

  test('both ends can send at a time', async () => {
    const { channel, far } = await rig.open(
      async (channel, { args }) => {
        for (let i = 0; i < args; i++) channel.send(`${i}`.padEnd(500));
        const received: string[] = [];
        for await (const message of channel) received.push(message.toString().trim());
        return received;
      },
      { args: 500, near: { allowHalfOpen: true } },
    );
    const received: number[] = [];
    channel.on('message', (message) => received.push(Number(message)));
    for (let i = 0; i < 500; i++) channel.send(`${i}`.padEnd(300));
    await channel.end();
    await once(channel, 'end');
    const all = Array.from({ length: 500 }, (_, i) => i);
    expect((await far.result).map(Number)).toEqual(all);
    expect(received).toEqual(all);
  });

  test('send returns false while there is no room, drained() waits for it, and drain is emitted', async () => {
    const { channel, far } = await rig.open(async (channel, { told }) => {
      await told();
      let count = 0;
      for await (const _ of channel) count++;
      return count;
    });
    const message = Buffer.alloc(500);
    let sent = 1;
    while (channel.send(message)) sent++;
    expect(sent).toBe(rig.ringSize / 512 + 1);
    expect(channel.send(message)).toBe(false);
    let isDrained = false;
    const drained = Promise.all([channel.drained().then(() => (isDrained = true)), once(channel, 'drain')]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isDrained).toBe(false);
    far.tell();
    await drained;
    expect(channel.send(message)).toBe(true);
    await channel.end();
    expect(await far.result).toBe(sent + 2);
  });

  test('drained() resolves at once while nothing waits', async () => {
    const { channel } = await rig.open(() => undefined);
    await channel.drained();
    channel.send('x');
    await channel.drained();
  });

  test('data is the caller’s again when send returned true', async () => {
    const { channel, far } = await rig.open(async (channel, { told }) => {
      await told();
      const all: string[] = [];
      for await (const message of channel) all.push(message.toString());
      return all;
    });
    const data = Buffer.from('first');
    expect(channel.send(data)).toBe(true);
    data.write('SECON');
    expect(channel.send(data)).toBe(true);
    data.fill(0);
    far.tell();
    await channel.end();
    expect(await far.result).toEqual(['first', 'SECON']);
  });

  test('what is sent in one turn arrives although the sender then blocks its thread', async () => {
    const { channel, far } = await rig.open(async (channel, { say }) => {
      for await (const message of channel) say(message.toString());
    });
    channel.send('1');
    channel.send('2');
    await null;
    await null;
    if (rig.place !== 'within one domain') {
      const until = performance.now() + 50;
      while (performance.now() < until);
    }
    expect([await far.said(), await far.said()]).toEqual(['1', '2']);
  });
}
