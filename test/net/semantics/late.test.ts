import { describe, expect, test } from 'vitest';
import { TRANSPORTS, type Transport, usePrograms } from './support.js';

const start = usePrograms();
const MIB = 1024 * 1024;

interface Filled {
  completed: number;
  sent: number;
}

/** A peer that does not read, and then does. */
async function fill(transport: Transport) {
  const server = start('reading-late', { transport });
  const port = await server.said<number>();
  const client = start('filling', { transport, args: { port, limit: 64 * MIB } });
  await server.said();
  const { completed, sent } = await client.said<Filled>();
  server.tell();
  return { completed, sent, outcome: await server.said() };
}

test('a peer that does not read takes as much as over TCP, and gets all when it reads', async () => {
  const tcp = await fill('tcp');
  const shm = await fill('shm');
  expect(tcp.completed).toBeGreaterThan(2 * MIB);
  // TCP's buffers differ from run to run; the ring comes on top of them.
  expect(shm.completed).toBeGreaterThan(tcp.completed * 0.9);
  for (const { sent, outcome } of [shm, tcp]) expect(outcome).toEqual({ received: sent, isRight: true, ended: true });
});

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('both ends write 3 MiB before either reads, and get them', async () => {
    const size = 3 * MIB;
    const server = start('crossing', { transport, args: { size } });
    const port = await server.said<number>();
    const client = start('crossing', { transport, args: { size, port } });
    await Promise.all([server.said(), client.said()]);
    server.tell();
    client.tell();
    const outcome = { received: size, isRight: true };
    expect(await Promise.all([server.said(), client.said()])).toEqual([outcome, outcome]);
  });
});
