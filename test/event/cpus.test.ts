import { availableParallelism } from 'node:os';
import { beforeEach, expect, test, vi } from 'vitest';
import { readFileSync } from '../../src/fs.js';

vi.mock('../../src/fs.js', () => ({ readFileSync: vi.fn() }));
vi.mock('node:os', () => ({ availableParallelism: vi.fn() }));

/** The CPUs that are usable with so many by affinity, and these files. */
async function usable(cpus: number, files: Record<string, string>): Promise<number> {
  vi.mocked(availableParallelism).mockReturnValue(cpus);
  vi.mocked(readFileSync).mockImplementation((path) => {
    const content = files[String(path)];
    if (content === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
    return content;
  });
  vi.resetModules();
  const { usableCpus } = await import('../../src/event/cpus.js');
  expect(usableCpus()).toBe(usableCpus());
  return usableCpus();
}

beforeEach(() => {
  vi.clearAllMocks();
});

const own = { '/proc/self/cgroup': '0::/a/b\n' };

test.each([
  ['no cgroup files at all', 8, {}, 8],
  ['no limit', 8, { ...own, '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n' }, 8],
  ['a limit', 8, { ...own, '/sys/fs/cgroup/a/b/cpu.max': '150000 100000\n' }, 1.5],
  ['a limit further up', 8, { ...own, '/sys/fs/cgroup/a/cpu.max': '300000 100000\n' }, 3],
  [
    'the smallest of several',
    8,
    {
      ...own,
      '/sys/fs/cgroup/a/b/cpu.max': '400000 100000',
      '/sys/fs/cgroup/a/cpu.max': '50000 100000',
    },
    0.5,
  ],
  [
    'a limit of the root, as containers see it',
    8,
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '100000 100000' },
    1,
  ],
  ['a limit above the affinity', 2, { ...own, '/sys/fs/cgroup/a/b/cpu.max': '900000 100000' }, 2],
  ['files that make no sense', 4, { ...own, '/sys/fs/cgroup/a/b/cpu.max': 'garbage' }, 4],
  [
    'cgroups of version 1 beside',
    4,
    { '/proc/self/cgroup': '3:cpu:/x\n0::/a\n', '/sys/fs/cgroup/a/cpu.max': '200000 100000' },
    2,
  ],
])('%s: of %d CPUs', async (_what, cpus, files, expected) => {
  expect(await usable(cpus, files)).toBe(expected);
});
