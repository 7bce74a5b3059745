import { expect, test } from 'vitest';
import { usePrograms } from './support.js';

const start = usePrograms();
const CONNECTIONS = 1000;
const TOTAL = 2_000_000;

interface End {
  /** The client's. */
  port: number;
  isIdle: boolean;
  via: string;
  /** Hashes of what this end sent, and of what it received. */
  sent: string;
  received: string;
}

test('1,000 connections at once, half of them idle: every byte arrives at both ends', async () => {
  const args = { connections: CONNECTIONS, total: TOTAL };
  const server = start('crowding', { args });
  const port = await server.said<number>();
  const client = start('crowding', { args: { ...args, port } });
  await Promise.all([server.said(), client.said()]);
  server.tell();
  client.tell();
  const [ofServer, ofClient] = await Promise.all([server.said<End[]>(), client.said<End[]>()]);

  const mirrored = new Map(ofServer.map((end) => [end.port, { ...end, sent: end.received, received: end.sent }]));
  expect(mirrored.size).toBe(CONNECTIONS);
  const idle = ofClient.filter(({ isIdle }) => isIdle).length;
  expect(Math.abs(idle - CONNECTIONS / 2)).toBeLessThan(CONNECTIONS / 10);
  for (const end of ofClient) {
    expect(end.via).toBe('shm');
    expect(mirrored.get(end.port)).toEqual(end);
  }
});
