import { availableParallelism } from 'node:os';
import { readFileSync } from '../fs.js';

let cached: number | undefined;

/** CPUs that this process may use: by its affinity mask, and by its cgroup's `cpu.max`. */
export function usableCpus(): number {
  cached ??= Math.min(availableParallelism(), cgroupQuota());
  return cached;
}

/** The smallest quota on the way from this process's cgroup (v2) up to the root, in CPUs. */
function cgroupQuota(): number {
  let quota = Number.POSITIVE_INFINITY;
  const path = /^0::(.*)$/m.exec(read('/proc/self/cgroup'))?.[1] ?? '/';
  const parts = path.split('/').filter((part) => part !== '');
  for (let depth = parts.length; depth >= 0; depth--) {
    const file = ['/sys/fs/cgroup', ...parts.slice(0, depth), 'cpu.max'].join('/');
    const [limit, period] = read(file).split(' ').map(Number);
    if (limit !== undefined && period !== undefined && limit > 0) quota = Math.min(quota, limit / period);
  }
  return quota;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
