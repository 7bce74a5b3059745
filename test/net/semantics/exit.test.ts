import { describe, expect, test } from 'vitest';
import { type Burst, leastOf, titleOf } from './bursts.js';
import { usePrograms } from './support.js';

const start = usePrograms();
const KIB = 1024;
const MIB = 1024 * KIB;

/** All sizes are such that TCP's buffers have room for them. */
const bursts: Burst[] = [
  { count: 1, size: 1, by: 'exit', when: 'written' },
  { count: 1, size: 1000, by: 'exit', when: 'written' },
  { count: 1, size: 3 * MIB, by: 'exit', when: 'written' },
  { count: 30, size: 64 * KIB, by: 'exit', when: 'written' },
  { count: 1000, size: 1000, by: 'exit', when: 'written' },
  { count: 30, size: 64 * KIB, by: 'exit', when: 'completed' },
  { count: 30, size: 64 * KIB, by: 'throw', when: 'written' },
  { count: 1, size: 2 * MIB, by: 'exit', when: 'written', isWorker: true },
  { count: 30, size: 64 * KIB, by: 'exit', when: 'written', isWorker: true },
  { count: 1, size: 2 * MIB, by: 'exit', when: 'exiting', ring: 64 * KIB },
  { count: 30, size: 64 * KIB, by: 'throw', when: 'exiting', ring: 4 * KIB },
  { count: 1, size: 64 * KIB, by: 'SIGKILL', when: 'written' },
  { count: 3, size: 64 * KIB, by: 'SIGTERM', when: 'written' },
  { count: 1, size: 1000, by: 'SIGKILL', when: 'completed' },
  { count: 1, size: 2 * MIB, by: 'SIGKILL', when: 'completed' },
  { count: 30, size: 64 * KIB, by: 'SIGKILL', when: 'completed' },
  { count: 30, size: 64 * KIB, by: 'SIGTERM', when: 'completed' },
  { count: 1000, size: 1000, by: 'SIGKILL', when: 'completed' },
];

describe('what TCP delivers of a program that ends, the drop-in delivers:', () => {
  test.each(bursts.map((burst) => [titleOf(burst), burst] as const))('%s', async (_title, burst) => {
    const { shm, tcp } = await leastOf(start, burst, { shm: 2, tcp: 1 });
    expect(tcp).toEqual({ received: burst.count * burst.size, isRight: true, ended: true });
    expect(shm).toEqual(tcp);
  });
});
