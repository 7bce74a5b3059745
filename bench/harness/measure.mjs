/**
 * Carries out one run. Batches of growing size warm both sides up and tell how
 * many messages fill the time of the measured batch, which is the last.
 *
 * @typedef {Record<string, number>} Measurement fields of a row
 * @typedef {object} Times
 * @property {number} warmUpMs
 * @property {number} measureMs
 * @property {number} parkedMs
 * @property {number} settleMs
 * @property {number} idleMs
 * @property {number} budgetMs no round is begun that would end later
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TRANSPORTS } from '../transports/index.mjs';
import { measureLimit } from '../transports/limit.mjs';
import { Pair } from './pair.mjs';
import { cpuOfSpans, observeProcess, watchOthers } from './usage.mjs';

const PARKED_INTERVAL_MS = 2;
const PARKED_WARM_UP_MESSAGES = 25;
const FIRST_BATCH = 64;
const LARGEST_GROWTH = 8;
const STILL_FASTER = 1.15;
const LONGEST_WARM_UP = 5;
/** Keeps the stamps of a batch, and the memory of its process, in bounds. */
const LARGEST_BATCH = { rtt: 1 << 21, oneway: 1 << 26 };
const IDLE_CONNECTIONS = 100;

/**
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @param {string} directory for files of this run
 * @returns {Promise<Measurement>}
 */
export async function measure(run, times, directory) {
  const { sides, options } = TRANSPORTS[run.transport];
  if (sides === 'native') {
    const isParked = run.kind === 'rtt-parked';
    return measureLimit(options, {
      size: run.size,
      measureMs: isParked ? times.parkedMs : times.measureMs,
      intervalMs: isParked ? PARKED_INTERVAL_MS : 0,
    });
  }
  const connections = run.kind === 'idle' ? IDLE_CONNECTIONS : 1;
  const pair = new Pair(run.transport, connections, directory);
  try {
    await pair.open();
    const measurement = await measurePair(pair, run, times);
    await pair.close();
    return measurement;
  } catch (error) {
    pair.kill();
    throw error;
  }
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 */
function measurePair(pair, run, times) {
  if (run.kind === 'idle') return measureIdle(pair, times);
  if (run.kind === 'oneway') return measureOneWay(pair, run, times);
  return measureRoundTrips(pair, run, times);
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @returns {Promise<Measurement>}
 */
async function measureRoundTrips(pair, { kind, size }, times) {
  const runBatch = async (/** @type {{ count: number, intervalMs?: number }} */ batch) => {
    const { server, client } = await pair.run('rtt', { size }, batch);
    return { server, client, elapsedMs: client.elapsedNs / 1e6, count: batch.count };
  };
  const fitting = await warmUp((count) => runBatch({ count }), times, LARGEST_BATCH.rtt);
  /** @type {{ count: number, intervalMs?: number }} */
  let batch = { count: fitting };
  if (kind === 'rtt-parked') {
    const intervalMs = PARKED_INTERVAL_MS;
    await runBatch({ count: PARKED_WARM_UP_MESSAGES, intervalMs });
    batch = { count: Math.ceil(times.parkedMs / intervalMs), intervalMs };
  }
  const othersShare = watchOthers(pair.pids);
  const { server, client, elapsedMs, count } = await runBatch(batch);
  return {
    p50_us: client.p50_us,
    p99_us: client.p99_us,
    msgs_per_s: (count * 1e3) / elapsedMs,
    cpu_us_per_msg: cpuOfSpans([server.cpu, client.cpu]) / count,
    others_cpu: othersShare(),
  };
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @returns {Promise<Measurement>}
 */
async function measureOneWay(pair, { size, zeroCopy }, times) {
  const runBatch = async (/** @type {number} */ count) => {
    const { server, client } = await pair.run('oneway', { size, zeroCopy }, { count });
    return { server, client, elapsedMs: (server.endNs - client.startNs) / 1e6, count };
  };
  const fitting = await warmUp(runBatch, times, LARGEST_BATCH.oneway);
  const othersShare = watchOthers(pair.pids);
  const { server, client, elapsedMs, count } = await runBatch(fitting);
  const perSecond = (count * 1e3) / elapsedMs;
  return {
    msgs_per_s: perSecond,
    gb_per_s: (perSecond * size) / 1e9,
    cpu_us_per_msg: cpuOfSpans([server.cpu, client.cpu]) / count,
    others_cpu: othersShare(),
  };
}

/**
 * @param {Pair} pair
 * @param {Times} times
 * @returns {Promise<Measurement>}
 */
async function measureIdle(pair, { settleMs, idleMs }) {
  await pair.run('idle', {}, {});
  await sleep(settleMs);
  const before = pair.pids.map(observeProcess);
  await sleep(idleMs);
  const after = pair.pids.map(observeProcess);
  const sum = (/** @type {'switches' | 'cpuNs'} */ field) =>
    after.reduce((total, usage, i) => total + usage[field] - before[i][field], 0);
  return {
    connections: IDLE_CONNECTIONS,
    seconds: idleMs / 1e3,
    context_switches: sum('switches'),
    cpu_us: sum('cpuNs') / 1e3,
  };
}

/**
 * Runs batches for a time, and until they get no faster: code that is still being
 * compiled would be measured as a slow transport.
 * @param {(count: number) => Promise<{ elapsedMs: number }>} runBatch
 * @param {Times} times
 * @param {number} largest
 * @returns {Promise<number>} how many messages fill the measured time
 */
async function warmUp(runBatch, { warmUpMs, measureMs }, largest) {
  let spentMs = 0;
  let best = 0;
  for (let count = FIRST_BATCH; ; ) {
    const { elapsedMs } = await runBatch(count);
    spentMs += elapsedMs;
    const perMs = count / elapsedMs;
    const isSteady = perMs < best * STILL_FASTER || spentMs >= warmUpMs * LONGEST_WARM_UP;
    if (spentMs >= warmUpMs && isSteady) {
      return Math.max(FIRST_BATCH, Math.min(largest, Math.ceil(perMs * measureMs)));
    }
    best = Math.max(best, perMs);
    const nextMs = Math.max(warmUpMs - spentMs, warmUpMs / 2);
    count = Math.max(FIRST_BATCH, Math.min(largest, count * LARGEST_GROWTH, Math.ceil(perMs * nextMs)));
  }
}
