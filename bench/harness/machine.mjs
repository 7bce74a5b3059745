import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/**
 * Where and how it was measured. Absolute figures say little without it.
 * @param {Readonly<Record<string, unknown>>} options
 */
export function describeMachine(options) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 1e9),
    kernel: release(),
    node: process.version,
    load: loadavg()[0],
    date: new Date().toISOString(),
    ...options,
  };
}
