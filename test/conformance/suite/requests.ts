import { describe, expect, test } from 'vitest';
import type { Channel } from '../../../src/index.js';
import { closed, type Tools } from '../../support/agent.js';
import type { Rig } from '../../support/rig.js';
import { pattern } from '../../support/ring.js';

/** Answers with the request turned round, each in its own time. */
async function reverse(channel: Channel, { closed, turn }: Tools): Promise<void> {
  channel.handle(async (request) => {
    for (let i = request[0] ?? 0; i > 0; i -= 50) await turn();
    return request.reverse();
  });
  await closed(channel);
}

async function never(channel: Channel, { say }: Tools): Promise<void> {
  channel.handle(async (_request, { signal }) => {
    say('started');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    say('aborted');
  });
}

/** Requests and replies. */
export function requests(rig: Rig): void {
  test('a thousand requests at a time get their own replies, in whatever order these come', async () => {
    const { channel } = await rig.open(reverse);
    const requests = Array.from({ length: 1000 }, (_, i) => pattern(4 + (i % 300), i));
    const replies = await Promise.all(requests.map((request) => channel.request(request)));
    expect(replies.every((reply, i) => reply.equals(Buffer.from(requests[i] as Buffer).reverse()))).toBe(true);
  });

  test('requests go both ways at a time', async () => {
    const { channel, far } = await rig.open(async (channel) => {
      channel.handle((request) => `far ${request}`);
      const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => channel.request(`${i}`)));
      return replies.map(String);
    });
    channel.handle((request) => `near ${request}`);
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => channel.request(`${i}`)));
    expect(replies.map(String)).toEqual(Array.from({ length: 100 }, (_, i) => `far ${i}`));
    expect(await far.result).toEqual(Array.from({ length: 100 }, (_, i) => `near ${i}`));
  });

  test('requests and replies may be empty, or larger than the ring', async () => {
    const { channel } = await rig.open(reverse);
    for (const length of [0, 1, rig.ringSize, 3 * rig.ringSize + 1]) {
      const request = pattern(length, 0);
      expect((await channel.request(request)).equals(Buffer.from(request).reverse())).toBe(true);
    }
  });

  test('a handler that returns nothing sends an empty reply, and one that returns a string its bytes', async () => {
    const { channel } = await rig.open(async (channel, { closed }) => {
      channel.handle((request) => (request.length === 0 ? undefined : `<${request}>`));
      await closed(channel);
    });
    expect((await channel.request('')).length).toBe(0);
    expect((await channel.request('ü')).toString()).toBe('<ü>');
  });

  test('an error of the handler comes back as the cause, with its name and code', async () => {
    const { channel } = await rig.open(async (channel, { closed }) => {
      channel.handle(async (request) => {
        if (request.length === 0) throw 'a string';
        throw Object.assign(new RangeError(`no ${request}`), { code: 'ERR_TEST' });
      });
      await closed(channel);
    });
    await expect(channel.request('x')).rejects.toMatchObject({
      code: 'ERR_SHMLOOP_REMOTE',
      cause: { name: 'RangeError', message: 'no x', code: 'ERR_TEST' },
    });
    await expect(channel.request('')).rejects.toMatchObject({
      code: 'ERR_SHMLOOP_REMOTE',
      cause: { message: 'a string' },
    });
  });

  test('a reply that is no bytes is an error for who asked, and the channel goes on', async () => {
    const { channel } = await rig.open(async (channel, { closed }) => {
      channel.handle((request) => (request.length > 0 ? 'good' : (42 as never)));
      await closed(channel);
    });
    await expect(channel.request('')).rejects.toMatchObject({
      code: 'ERR_SHMLOOP_REMOTE',
      cause: { code: 'ERR_SHMLOOP_INVALID_ARGUMENT' },
    });
    expect((await channel.request('x')).toString()).toBe('good');
  });

  test('a reply or an error too large for who asked is an error for it, and harms nobody', async () => {
    const { channel } = await rig.open(
      async (channel, { closed }) => {
        channel.handle((request) => {
          if (request.length > 0) throw new Error('long '.repeat(100));
          return new Uint8Array(1000);
        });
        await closed(channel);
      },
      { near: { maxMessageSize: 10 } },
    );
    await expect(channel.request('')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_REMOTE' });
    await expect(channel.request('x')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_REMOTE' });
  });

  test('a request is given up when its time is up, and the handler hears of it', async () => {
    const { channel } = await rig.open(async (channel, { closed }) => {
      const count = { started: 0, aborted: 0 };
      channel.handle(async (request, { signal }) => {
        if (request.length > 0) return JSON.stringify(count);
        count.started++;
        signal.addEventListener('abort', () => count.aborted++);
        await new Promise(() => undefined);
        return undefined;
      });
      await closed(channel);
    });
    // A request can be given up before its handler has started: then with more time.
    for (let timeout = 5, started = 0; started === 0; timeout *= 2) {
      await expect(channel.request('', { timeout })).rejects.toMatchObject({ code: 'ERR_SHMLOOP_TIMEOUT' });
      const count = JSON.parse(`${await channel.request('count')}`);
      expect(count.aborted).toBe(count.started);
      started = count.started;
    }
  });

  test('an infinite time is none', async () => {
    const { channel } = await rig.open(reverse);
    expect(`${await channel.request('ab', { timeout: Number.POSITIVE_INFINITY })}`).toBe('ba');
    const reply = channel.request(Buffer.alloc(3, 255), { timeout: 2 ** 40 });
    expect((await reply).length).toBe(3);
  });

  test('a request is given up by its signal, and the handler hears of it', async () => {
    const { channel, far } = await rig.open(never);
    const controller = new AbortController();
    const request = channel.request('', { signal: controller.signal });
    expect(await far.said()).toBe('started');
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(request).rejects.toBe(reason);
    expect(await far.said()).toBe('aborted');
    await expect(channel.request('', { signal: controller.signal })).rejects.toBe(reason);
  });

  test('a request given up just before its reply comes disturbs no other', async () => {
    const { channel } = await rig.open(reverse);
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const given = channel.request('given up', { signal: controller.signal });
      const other = channel.request(`ab${i}`);
      setImmediate(() => controller.abort());
      await Promise.allSettled([given]);
      expect((await other).toString()).toBe(Buffer.from(`ab${i}`).reverse().toString());
    }
  });

  test('the handler’s signal is aborted when who asked is gone', async () => {
    const { channel, far } = await rig.open(never);
    const request = channel.request('').catch((error) => error);
    expect(await far.said()).toBe('started');
    await channel.close();
    expect(await request).toMatchObject({ code: 'ERR_SHMLOOP_CLOSED' });
    expect(await far.said()).toBe('aborted');
  });

  test('replies come although nobody takes the messages before them', async () => {
    const { channel, far } = await rig.open(async (channel, { once }) => {
      channel.handle((request) => {
        channel.send(`before ${request}`);
        return `reply ${request}`;
      });
      await once(channel, 'end');
    });
    for (let i = 0; i < 200; i++) expect((await channel.request(`${i}`)).toString()).toBe(`reply ${i}`);
    const iterator = channel[Symbol.asyncIterator]();
    for (let i = 0; i < 200; i++) expect((await iterator.next()).value.toString()).toBe(`before ${i}`);
    await channel.end();
    await far.result;
  });

  test('requests are answered although nobody takes the messages before them', async () => {
    const { channel, far } = await rig.open(async (channel, { told }) => {
      channel.handle((request) => request);
      await told();
      const messages: string[] = [];
      for await (const message of channel) messages.push(message.toString());
      return messages;
    });
    for (let i = 0; i < 100; i++) {
      channel.send(`message ${i}`);
      expect((await channel.request(`${i}`)).toString()).toBe(`${i}`);
    }
    far.tell();
    await channel.end();
    expect(await far.result).toEqual(Array.from({ length: 100 }, (_, i) => `message ${i}`));
  });

  test('requests are refused where messages are taken and none are handled', async () => {
    const { channel, far } = await rig.open(async (channel) => {
      const messages: string[] = [];
      for await (const message of channel) messages.push(message.toString());
      return messages;
    });
    channel.send('1');
    await expect(channel.request('x')).rejects.toMatchObject({ code: 'ERR_SHMLOOP_REMOTE' });
    channel.send('2');
    await channel.end();
    expect(await far.result).toEqual(['1', '2']);
  });

  test('requests wait for a handler where nobody takes anything', async () => {
    const { channel, far } = await rig.open(async (channel, { told, closed }) => {
      await told();
      channel.handle((request) => `late ${request}`);
      await closed(channel);
    });
    const replies = Promise.all([channel.request('1'), channel.request('2')]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    far.tell();
    expect((await replies).map(String)).toEqual(['late 1', 'late 2']);
  });

  test('more requests than run at a time wait for their turn', async () => {
    const { channel, far } = await rig.open(async (channel, { told, say }) => {
      const waiting: (() => void)[] = [];
      let isOpen = false;
      channel.handle(async () => {
        if (waiting.length === 1023) say('full');
        if (!isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
      });
      await told();
      const ran = waiting.length;
      isOpen = true;
      for (const go of waiting) go();
      return ran;
    });
    const replies = Promise.all(Array.from({ length: 3000 }, () => channel.request('x')));
    expect(await far.said()).toBe('full');
    await new Promise((resolve) => setTimeout(resolve, 5));
    far.tell();
    expect(await far.result).toBe(1024);
    expect((await replies).length).toBe(3000);
  });

  describe('at the end', () => {
    test('requests under way are answered before an orderly end', async () => {
      const { channel, far } = await rig.open(async (channel, { closed, turn }) => {
        channel.handle(async (request) => {
          for (let i = 0; i < 10; i++) await turn();
          return request;
        });
        await closed(channel);
      });
      const replies = Promise.all(['a', 'b', 'c'].map((request) => channel.request(request)));
      await channel.end();
      expect((await replies).map(String)).toEqual(['a', 'b', 'c']);
      await far.result;
    });

    test('requests without a reply fail when the other end closes', async () => {
      const { channel, far } = await rig.open(async (channel) => {
        await new Promise((resolve) => channel.handle(resolve as never));
        await channel.close();
      });
      await expect(channel.request('x')).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'read' });
      await far.result;
      await closed(channel);
      await expect(channel.request('x')).rejects.toMatchObject({ code: 'ECONNRESET' });
    });
  });
}
