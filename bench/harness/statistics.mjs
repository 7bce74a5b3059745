/**
 * @param {ArrayLike<number>} sorted
 * @param {number} fraction 0 to 1
 * @returns {number}
 */
export function quantile(sorted, fraction) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}

/**
 * @param {readonly number[]} values
 * @returns {number}
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Latencies from stamps in nanoseconds: exact, every one kept.
 * @param {BigInt64Array} starts
 * @param {BigInt64Array} ends
 * @returns {{ p50_us: number, p99_us: number }}
 */
export function latencies(starts, ends) {
  const samples = new Float64Array(starts.length);
  for (let i = 0; i < samples.length; i++) samples[i] = Number(ends[i] - starts[i]) / 1e3;
  samples.sort();
  return { p50_us: quantile(samples, 0.5), p99_us: quantile(samples, 0.99) };
}

/**
 * @param {readonly Readonly<Record<string, number>>[]} measurements one a round, all with the same fields
 * @returns {{ medians: Record<string, number>, spread: Record<string, [min: number, max: number]> }}
 */
export function summarize(measurements) {
  /** @type {Record<string, number>} */
  const medians = {};
  /** @type {Record<string, [number, number]>} */
  const spread = {};
  for (const field of Object.keys(measurements[0])) {
    const values = measurements.map((measurement) => measurement[field]);
    medians[field] = round(median(values));
    spread[field] = [round(Math.min(...values)), round(Math.max(...values))];
  }
  return { medians, spread };
}

/**
 * Five significant digits: more would be noise.
 * @param {number} value
 */
export function round(value) {
  return Number(value.toPrecision(5));
}

/**
 * How many times TCP's a measurement is, turn by turn: what disturbed one disturbed the other.
 * @param {ReadonlyMap<import('./plan.mjs').Run, import('./measure.mjs').Measurement[]>} taken
 */
export function compareWithTcp(taken) {
  for (const [run, measurements] of taken) {
    const isBaseline = (/** @type {import('./plan.mjs').Run} */ other) =>
      other.transport === 'tcp' && other.kind === run.kind && other.size === run.size;
    const baseline = [...taken].find(([other]) => isBaseline(other))?.[1];
    if (baseline === undefined) continue;
    for (const [turn, own] of measurements.entries()) {
      const tcp = baseline[turn];
      if (tcp === undefined) continue;
      own.times_tcp = run.kind.startsWith('rtt') ? tcp.p50_us / own.p50_us : own.msgs_per_s / tcp.msgs_per_s;
      own.cpu_times_tcp = own.cpu_us_per_msg / tcp.cpu_us_per_msg;
    }
  }
}
