import { expect, test } from 'vitest';
import { type Burst, leastOf, titleOf } from './bursts.js';
import { usePrograms } from './support.js';

const start = usePrograms();
const KIB = 1024;
const MIB = 1024 * KIB;

const bursts: Burst[] = [
  { count: 1, size: 4 * MIB, by: 'exit', when: 'written' },
  { count: 30, size: 64 * KIB, by: 'SIGKILL', when: 'completed' },
  { count: 1, size: 4 * MIB, by: 'SIGKILL', when: 'written' },
  { count: 3, size: 64 * KIB, by: 'SIGKILL', when: 'written' },
];

test.each(bursts.map((burst) => [titleOf(burst), burst] as const))(
  '%s: TCP delivers no more than the drop-in, which is asked 100 times',
  async (_title, burst) => {
    const { shm, tcp } = await leastOf(start, burst, { shm: 100, tcp: 10 });
    expect(shm).toMatchObject({ isRight: true, ended: true });
    expect(shm.error).toBe(tcp.error);
    expect(shm.received).toBeGreaterThanOrEqual(tcp.received);
  },
);
