/** The machine's limit, by the program of ../limits: no JavaScript takes part. */
import { runLimits } from '../harness/limits.mjs';

/**
 * @param {{ method: string }} options
 * @param {{ size: number, measureMs: number, intervalMs?: number }} run
 */
export function measureLimit({ method }, { size, measureMs, intervalMs = 0 }) {
  const parameters = method === 'copy' ? ['copy', size, measureMs] : ['rtt', method, measureMs, intervalMs * 1000];
  return runLimits(parameters, measureMs);
}
