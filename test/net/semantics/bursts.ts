/** What a program wrote before its end, and what of it arrived. */
import { type Program, type Start, TRANSPORTS, type Transport } from './support.js';

export interface Burst {
  /** Writes in one turn, and the bytes of each. */
  count: number;
  size: number;
  by: 'exit' | 'throw' | 'SIGKILL' | 'SIGTERM';
  /** Whether it ends once the last write is done, while the calls of write are hardly over, or writes as it ends. */
  when: 'completed' | 'written' | 'exiting';
  /** Whether a worker writes, and ends alone if it ends by `exit`. */
  isWorker?: boolean;
  /** Bytes; default: as the drop-in has it. */
  ring?: number;
}

export interface Outcome {
  received: number;
  isRight: boolean;
  ended: boolean;
  error?: string;
}

export function titleOf({ count, size, by, when, isWorker, ring }: Burst): string {
  const where = `${isWorker ? ' of a worker' : ''}${ring ? `, with rings of ${ring}` : ''}`;
  return `${count} × ${size} bytes, ${when}, then ${by}${where}`;
}

/** Runs it so many times against one server. */
export async function deliver(start: Start, transport: Transport, burst: Burst, times = 1): Promise<Outcome[]> {
  const env = burst.ring ? { SHMLOOP_RING_SIZE: String(burst.ring) } : {};
  const server = start('counting', { transport, env });
  const port = await server.said<number>();
  const outcomes: Outcome[] = [];
  for (let i = 0; i < times; i++) {
    const client: Program = start('bursting', { transport, env, args: { ...burst, port } });
    outcomes.push(await server.said<Outcome>());
    // A worker's process goes on.
    await client.end();
  }
  await server.end();
  return outcomes;
}

/** Of several runs over each transport, the one in which the least arrived. */
export async function leastOf(start: Start, burst: Burst, times: Record<Transport, number>) {
  const least: Partial<Record<Transport, Outcome>> = {};
  for (const transport of TRANSPORTS) {
    const halves = [Math.ceil(times[transport] / 2), Math.floor(times[transport] / 2)];
    // Most of their time is that of starting.
    const outcomes = (await Promise.all(halves.map((half) => deliver(start, transport, burst, half)))).flat();
    least[transport] = outcomes.sort((a, b) => Number(a.isRight) - Number(b.isRight) || a.received - b.received)[0];
  }
  return least as Record<Transport, Outcome>;
}
