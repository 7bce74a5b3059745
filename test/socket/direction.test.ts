import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

type Way = 'both' | 'send' | 'receive';
const WAYS: readonly Way[] = ['both', 'send', 'receive'];
const MIRRORED = { both: 'both', send: 'receive', receive: 'send' } as const;
const oneWay = expect.objectContaining({ code: 'ERR_SHMLOOP_DIRECTION' });
/** Binds a name. @returns what gives the channel that is accepted */
async function serve(direction: Way): Promise<() => Promise<Channel>> {
  const server = await open.bind('name', { direction });
  return () => open.accept(server);
}

function dial(direction?: Way): Promise<Channel> {
  return open.connect('name', { direction });
}

function wayOf({ canSend, canReceive }: Channel): Way | 'none' {
  if (canSend) return canReceive ? 'both' : 'send';
  return canReceive ? 'receive' : 'none';
}

for (const theirs of WAYS) {
  describe(`a server with direction ${theirs}`, () => {
    test('decides for who leaves it open', async () => {
      const accept = await serve(theirs);
      expect(wayOf(await dial())).toBe(MIRRORED[theirs]);
      expect(wayOf(await accept())).toBe(theirs);
    });

    test.each(WAYS)('and a client with direction %s agree, or the client is refused', async (ours) => {
      const accept = await serve(theirs);
      if (ours !== MIRRORED[theirs]) {
        await expect(dial(ours)).rejects.toThrow(oneWay);
        return;
      }
      expect(wayOf(await dial(ours))).toBe(ours);
      expect(wayOf(await accept())).toBe(theirs);
    });
  });
}

describe('a one-way pipe', () => {
  test('carries messages one way, and ends', async () => {
    const accept = await serve('receive');
    const writer = await dial();
    const reader = await accept();
    for (let i = 0; i < 1000; i++) {
      if (!writer.send(`${i}`)) await writer.drained();
    }
    await writer.end();
    const received: string[] = [];
    for await (const message of reader) received.push(message.toString());
    expect(received).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
    await closedBoth(writer, reader);
  });

  test('has nothing of the other way', async () => {
    const accept = await serve('send');
    const reader = await dial();
    const writer = await accept();
    expect(() => reader.send('x')).toThrow(oneWay);
    expect(() => reader.reserve(1)).toThrow(oneWay);
    expect(() => reader.sendSync('x')).toThrow(oneWay);
    await expect(reader.request('x')).rejects.toThrow(oneWay);
    expect(reader.maxReservation).toBe(0);
    expect(() => writer.receiveSync(0)).toThrow(oneWay);
    await expect(writer.request('x')).rejects.toThrow(oneWay);
  });

  test('works as a stream', async () => {
    const accept = await serve('receive');
    const writer = (await dial()).stream();
    const reader = (await accept()).stream();
    writer.end('through the pipe');
    const chunks = await reader.toArray();
    expect(Buffer.concat(chunks).toString()).toBe('through the pipe');
    expect([writer.readable, reader.writable]).toEqual([false, false]);
  });

  test('tells the writer when its reader closes', async () => {
    const accept = await serve('receive');
    const writer = await dial();
    const reader = await accept();
    const error = new Promise((resolve) => writer.once('close', resolve));
    await reader.close();
    expect(await error).toMatchObject({ code: 'ECONNRESET' });
    expect(writer.send('x')).toBe(false);
  });
});

function closedBoth(...channels: Channel[]): Promise<unknown> {
  return Promise.all(channels.map((channel) => closed(channel)));
}
