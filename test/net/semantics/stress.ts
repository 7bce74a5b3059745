/** Random traffic both ways over several connections, checked byte by byte. */
import { expect } from 'vitest';
import type { Start } from './support.js';

export interface Stress {
  seed: number;
  ringSize: number;
  connections: number;
  /** Bytes of each connection, each way, at least. */
  total: number;
  /** Whether the connections switch after some traffic, and not before it. */
  isUnderLoad?: boolean;
}

interface Outcome {
  sent: number;
  received: number;
  isRight: boolean;
  ended: boolean;
  error?: string;
  /** The client's. */
  port: number;
}

/** Demands that every byte arrives at both ends; shared memory carries the last ones. */
export async function stress(start: Start, { ringSize, ...stress }: Stress) {
  const { seed, connections, isUnderLoad = false } = stress;
  const env = { SHMLOOP_RING_SIZE: String(ringSize), SHMLOOP_UPGRADE: isUnderLoad ? 'auto' : 'eager' };
  const server = start('stressing', { env, args: stress });
  const port = await server.said<number>();
  const client = start('stressing', { env, args: { ...stress, seed: seed + 1, port } });
  const ends = new Map<number, Outcome[]>();
  for (const program of [server, client]) {
    for (let i = 0; i < connections; i++) {
      const outcome = await program.said<Outcome>();
      ends.set(outcome.port, [...(ends.get(outcome.port) ?? []), outcome]);
    }
  }
  for (const [one, other] of ends.values() as Iterable<[Outcome, Outcome]>) {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const { received, isRight, ended, error } = to;
      const right = { received: from.sent, isRight: true, ended: true, error: undefined };
      expect({ received, isRight, ended, error }, `with seed ${seed}`).toEqual(right);
    }
  }
}
