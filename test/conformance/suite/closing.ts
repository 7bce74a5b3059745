import { expect, test } from 'vitest';
import type { Channel } from '../../../src/index.js';
import { closed, type Tools } from '../../support/agent.js';
import type { Rig } from '../../support/rig.js';

async function collect(channel: Channel, { told, args }: Tools): Promise<string[]> {
  if (args === 'wait') await told();
  const all: string[] = [];
  for await (const message of channel) all.push(message.toString());
  return all;
}

/** Ends and closes. */
export function closing(rig: Rig): void {
  test('end delivers all that was sent, however much waits for room', async () => {
    const { channel, far } = await rig.open(collect, { args: 'wait' });
    const sent = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(rig.ringSize / 16));
    for (const message of sent) channel.send(message);
    const end = channel.end();
    far.tell();
    await end;
    expect(await far.result).toEqual(sent);
  });

  test('an end closes both ends in order: end, then close, with no error', async () => {
    const { channel, far } = await rig.open(async (channel, { closed }) => {
      const events: string[] = [];
      channel.on('message', (message) => events.push(message.toString()));
      channel.on('end', () => events.push('end'));
      channel.on('error', () => events.push('error'));
      const error = await closed(channel);
      return [...events, error];
    });
    channel.send('last');
    await channel.end();
    expect(await closed(channel)).toBeUndefined();
    expect(channel.closed).toBe(true);
    expect(await far.result).toEqual(['last', 'end', undefined]);
  });

  test('after end nothing can be sent', async () => {
    const over = expect.objectContaining({ code: 'ERR_SHMLOOP_CLOSED' });
    const { channel, far } = await rig.open(collect);
    const end = channel.end();
    expect(() => channel.send('x')).toThrow(over);
    expect(() => channel.reserve(1)).toThrow(over);
    expect(() => channel.sendSync('x')).toThrow(over);
    await expect(channel.request('x')).rejects.toThrow(over);
    await end;
    expect(await channel.end()).toBeUndefined();
    expect(await far.result).toEqual([]);
  });

  test('a half-open channel goes on the other way', async () => {
    const { channel, far } = await rig.open(
      async (channel) => {
        const received: string[] = [];
        for await (const message of channel) received.push(message.toString());
        for (let i = 0; i < 100; i++) {
          if (!channel.send(`after ${received.length} ${i}`)) await channel.drained();
        }
        await channel.end();
      },
      { far: { allowHalfOpen: true } },
    );
    channel.send('1');
    await channel.end();
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(Array.from({ length: 100 }, (_, i) => `after 1 ${i}`));
    await far.result;
    expect(await closed(channel)).toBeUndefined();
  });

  test('what an end listener sends is delivered still', async () => {
    const { channel, far } = await rig.open(async (channel, { closed }) => {
      channel.on('message', () => undefined);
      channel.on('end', () => channel.send('good bye'));
      await closed(channel);
    });
    await channel.end();
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(['good bye']);
    await far.result;
  });

  test.each(['iteration', 'regions'] as const)(
    'what a loop (%s) sends in answer to the last message is delivered, although the end came before',
    async (way) => {
      const { channel, far } = await rig.open(
        async (channel, { args }) => {
          const ended = new Promise<void>((resolve) => channel.once('end', resolve));
          const messages = args === 'regions' ? channel.regions() : channel;
          for await (const message of messages) {
            await ended;
            if ('release' in message) message.release();
            await new Promise(setImmediate);
            channel.send('answer');
          }
        },
        { args: way },
      );
      channel.send('last');
      await channel.end();
      const received: string[] = [];
      for await (const message of channel) received.push(message.toString());
      expect(received).toEqual(['answer']);
      await far.result;
    },
  );

  test('of two loops the one that waits does not end the channel of the other', async () => {
    const { channel, far } = await rig.open(async (channel) => {
      const ended = new Promise<void>((resolve) => channel.once('end', resolve));
      const loop = async () => {
        for await (const message of channel) {
          await ended;
          await new Promise(setImmediate);
          channel.send(message);
        }
      };
      await Promise.all([loop(), loop()]);
    });
    channel.send('last');
    await channel.end();
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(['last']);
    await far.result;
  });

  test('a loop within a loop leaves the channel to the outer one', async () => {
    const { channel, far } = await rig.open(async (channel) => {
      const ended = new Promise<void>((resolve) => channel.once('end', resolve));
      for await (const head of channel) {
        for await (const body of channel) {
          await ended;
          await new Promise(setImmediate);
          if (body.length > 0) break;
        }
        await new Promise(setImmediate);
        channel.send(head);
      }
    });
    channel.send('head');
    channel.send('body');
    await channel.end();
    const received: string[] = [];
    for await (const message of channel) received.push(message.toString());
    expect(received).toEqual(['head']);
    await far.result;
  });

  test('a loop that is left after the end ends the channel', async () => {
    const { channel, far } = await rig.open(async (channel, { closed }) => {
      const ended = new Promise<void>((resolve) => channel.once('end', resolve));
      for await (const _ of channel) {
        await ended;
        break;
      }
      return closed(channel);
    });
    channel.send('last');
    await channel.end();
    expect(await closed(channel)).toBeUndefined();
    expect(await far.result).toBeUndefined();
  });

  test('those who wait for two messages get the last one and the end, and the channel ends', async () => {
    const { channel, far } = await rig.open(async (channel, { closed }) => {
      const iterator = channel[Symbol.asyncIterator]();
      const results = Promise.all([iterator.next(), iterator.next()]);
      const over = closed(channel);
      return [(await results).map(({ done }) => done), await over];
    });
    channel.send('last');
    await channel.end();
    expect(await closed(channel)).toBeUndefined();
    expect(await far.result).toEqual([[false, true], undefined]);
  });

  test('close cuts the other end off after what was published', async () => {
    const { channel, far } = await rig.open(async (channel, { told, describe }) => {
      await told();
      const received: string[] = [];
      try {
        for await (const message of channel) received.push(message.toString());
      } catch (error) {
        return { received, error: describe(error) };
      }
      return { received };
    });
    for (const message of ['1', '2', '3']) channel.send(message);
    await channel.close();
    far.tell();
    expect(await far.result).toMatchObject({
      received: ['1', '2', '3'],
      error: { code: 'ECONNRESET', syscall: 'read' },
    });
  });

  test('the far close is an error event, where somebody listens, and a close event with it', async () => {
    const { channel, far } = await rig.open(async (channel, { told }) => {
      await channel.close();
      await told();
    });
    const events: unknown[] = [];
    channel.on('error', (error) => events.push(['error', error]));
    channel.on('end', () => events.push(['end']));
    const error = await new Promise<Error | undefined>((resolve) => channel.once('close', resolve));
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    expect(events).toEqual([['error', error]]);
    far.tell();
  });

  test('whoever waits hears of the far close: iterators, drained, requests', async () => {
    const reset = expect.objectContaining({ code: 'ECONNRESET' });
    const { channel, far } = await rig.open(async (channel, { told }) => {
      await told();
      await channel.close();
    });
    const next = channel[Symbol.asyncIterator]().next();
    const request = channel.request('x');
    while (channel.send(Buffer.alloc(rig.ringSize / 8)));
    const drained = channel.drained();
    const all = Promise.allSettled([next, request, drained]);
    far.tell();
    const [first, second, third] = await all;
    expect(first).toMatchObject({ status: 'rejected', reason: reset });
    expect(second).toMatchObject({ status: 'rejected', reason: reset });
    expect(third).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/EPIPE|ECONNRESET/) } });
  });

  test('whoever waits hears of the own close', async () => {
    const { channel } = await rig.open(async (channel, { told }) => {
      await told();
      return channel.closed;
    });
    const over = { status: 'rejected', reason: { code: 'ERR_SHMLOOP_CLOSED' } };
    const next = channel[Symbol.asyncIterator]().next();
    const request = channel.request('x');
    while (channel.send(Buffer.alloc(rig.ringSize / 8)));
    const all = Promise.allSettled([request, channel.drained()]);
    await channel.close();
    expect(await all).toMatchObject([over, over]);
    expect(await next).toEqual({ value: undefined, done: true });
    expect(channel.closed).toBe(true);
    await channel.close();
    await expect(channel.drained()).rejects.toThrow();
    expect(() => channel.send('x')).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_CLOSED' }));
  });

  test('sending to an end that is gone returns false', async () => {
    const { channel, far } = await rig.open((channel) => channel.close());
    await far.result;
    await closed(channel);
    expect(channel.send('x')).toBe(false);
    expect(channel.reserve(1)).toBeNull();
    await expect(channel.drained()).rejects.toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) });
  });

  test('await using ends in order', async () => {
    const { channel, far } = await rig.open(collect);
    channel.send('x');
    await channel[Symbol.asyncDispose]();
    expect(channel.closed).toBe(true);
    expect(await far.result).toEqual(['x']);
  });

  test('both ends may end at the same time', async () => {
    const { channel, far } = await rig.open(async (channel, { closed }) => {
      channel.send('far');
      await channel.end();
      channel.on('message', () => undefined);
      return closed(channel);
    });
    channel.on('message', () => undefined);
    channel.send('near');
    await channel.end();
    expect(await closed(channel)).toBeUndefined();
    expect(await far.result).toBeUndefined();
  });

  test('a message larger than the other end takes is refused here', async () => {
    const { channel, far } = await rig.open(collect, { far: { maxMessageSize: 100 } });
    const tooLarge = expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' });
    expect(channel.maxMessageSize).toBe(100);
    expect(() => channel.send(Buffer.alloc(101))).toThrow(tooLarge);
    expect(() => channel.sendSync(Buffer.alloc(101))).toThrow(tooLarge);
    await expect(channel.request(Buffer.alloc(101))).rejects.toThrow(tooLarge);
    channel.send(Buffer.alloc(100, 'x'));
    await channel.end();
    expect(await far.result).toEqual(['x'.repeat(100)]);
  });
}
