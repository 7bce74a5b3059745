import { once } from 'node:events';
import { expect, test } from 'vitest';
import { broadcastFileLength, SEALS } from '../../src/broadcast/broadcast-memory.js';
import { serviceOf } from '../../src/broadcast/options.js';
import { type Publisher, publish, subscribe } from '../../src/index.js';
import { CURSOR, RING } from '../../src/layout.js';
import { Listener, type Port, services } from '../../src/link/index.js';
import { Region } from '../../src/memory/index.js';
import type { Descriptor } from '../../src/native.js';
import { openNamed } from '../../src/socket/connect.js';
import { pathOfName } from '../../src/socket/names.js';
import { load, store, type Words } from '../../src/words.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

/** A subscription that is none: it writes into its words what it likes. */
async function pretend(): Promise<{ port: Port; words: Words }> {
  const options = { direction: 'send', ringSize: RING.minCapacity, maxMessageSize: 0, takesShared: true } as const;
  const port = await openNamed('feed', serviceOf('feed'), {}, options);
  open.keep({ close: async () => port.release() });
  return { port, words: (port.peerRing as NonNullable<Port['peerRing']>).memory.control };
}

async function publishing(): Promise<Publisher> {
  return open.keep(await publish('feed', { policy: 'block', capacity: 4096, timeout: Number.POSITIVE_INFINITY }));
}

test('a subscription that says what cannot be is let go, and no other one loses anything', async () => {
  const publisher = await publishing();
  const honest = open.keep(await subscribe('feed'));
  let received = 0;
  honest.on('message', () => received++);
  for (const value of [1000, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    const { words } = await pretend();
    const left = once(publisher, 'leave');
    store(words, CURSOR.consumed, value);
    for (let n = 0; n < 100; n++) if (!publisher.send(Buffer.alloc(100))) await publisher.drained();
    expect((await left)[1]).toMatchObject({ code: 'ERR_SHMLOOP_PROTOCOL' });
  }
  await publisher.close();
  await once(honest, 'close');
  expect(received).toBe(400);
});

test('a reader that wakes the writer for nothing is asked again', async () => {
  const publisher = await publishing();
  const { port, words } = await pretend();
  while (publisher.send(Buffer.alloc(100)));
  expect(load(words, CURSOR.writerParked)).toBe(1);
  store(words, CURSOR.writerParked, 0);
  port.link.notify(port.peerPort);
  while (load(words, CURSOR.writerParked) === 0) await new Promise(setImmediate);
  store(words, CURSOR.consumed, load(words, CURSOR.wanted));
  port.link.notify(port.peerPort);
  await publisher.drained();
});

test('a publisher whose memory others could write, or is of another size, is refused', async () => {
  const capacity = 4096;
  const cases: [seals: number, length: number, text: string, code: string][] = [
    [SEALS & ~16, capacity, `block ${capacity} 0 0`, 'ERR_SHMLOOP_REGION'],
    [SEALS, capacity * 2, `block ${capacity} 0 0`, 'ERR_SHMLOOP_REGION'],
    [SEALS, capacity, `block ${capacity} 4 0`, 'ERR_SHMLOOP_PROTOCOL'],
    [SEALS, capacity, 'nonsense', 'ERR_SHMLOOP_PROTOCOL'],
    [SEALS, capacity, '', 'ERR_SHMLOOP_PROTOCOL'],
  ];
  const listener = await Listener.bind(pathOfName('feed'));
  open.keep({
    close: async () => {
      services.delete(serviceOf('feed'));
      listener.close();
    },
  });
  for (const [seals, length, text, code] of cases) {
    const { descriptor }: { descriptor: Descriptor } = Region.create(broadcastFileLength(length), 'plain', seals);
    services.set(serviceOf('feed'), {
      direction: 'receive',
      ringSize: RING.minCapacity,
      maxMessageSize: 0,
      hasRoom: () => true,
      share: () => ({ text, descriptor, sent: () => descriptor.close() }),
      accepted: (port) => void open.keep({ close: async () => port.release() }),
    });
    await expect(subscribe('feed')).rejects.toMatchObject({ code });
  }
});
