/**
 * Prepares a run, and then carries it out as often as there are rounds. Batches of
 * growing size warm both sides up, and tell how many messages fill the time of a
 * measured batch.
 *
 * @typedef {Record<string, number>} Measurement fields of a row
 * @typedef {object} Times
 * @property {number} warmUpMs at least
 * @property {number} longestWarmUpMs where messages are slow
 * @property {number} measureMs
 * @property {number} parkedMs
 * @property {number} settleMs
 * @property {number} idleMs
 * @property {number} budgetMs for all of it; where it gets short, there are fewer rounds
 *
 * @typedef {object} Prepared both sides are there, warm, and idle; from `begin` to `end` where there is one
 * @property {() => Promise<unknown>} [begin] a round
 * @property {() => Promise<Measurement>} measure once
 * @property {() => Promise<unknown>} [end] the round
 * @property {() => Promise<void>} close
 * @property {() => void} kill
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TRANSPORTS } from '../transports/index.mjs';
import { measureLimit } from '../transports/limit.mjs';
import { Pair } from './pair.mjs';
import { cpuOfSpans, observeProcess, watchOthers } from './usage.mjs';

const PARKED_INTERVAL_MS = 2;
const PARKED_LEAD_IN_MESSAGES = 25;
const FIRST_BATCH = 64;
const LARGEST_GROWTH = 8;
/** Code that is still being compiled would be measured as a slow transport. */
const WARM_UP_MESSAGES = 20_000;
/** A batch of this part of the measured one goes before it: nothing is asleep when that begins. */
export const LEAD_IN = 1 / 8;
/** Keeps the stamps of a batch, and the memory of its process, in bounds. */
export const LARGEST_BATCH = { rtt: 1 << 21, oneway: 1 << 26 };
const IDLE_CONNECTIONS = 100;

/**
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @param {string} directory for files of this run
 * @returns {Promise<Prepared>}
 */
export async function prepare(run, times, directory) {
  if (TRANSPORTS[run.transport].sides === 'native') return prepareLimit(run, times);
  const pair = new Pair(run.transport, run.kind === 'idle' ? IDLE_CONNECTIONS : 1, directory);
  try {
    await pair.open();
    const measure = await preparePair(pair, run, times);
    return { measure, close: () => pair.close(), kill: () => pair.kill() };
  } catch (error) {
    pair.kill();
    throw error;
  }
}

/**
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @returns {Prepared}
 */
function prepareLimit({ transport, kind, size }, { measureMs, parkedMs }) {
  const isParked = kind === 'rtt-parked';
  const parameters = {
    size,
    measureMs: isParked ? parkedMs : measureMs,
    intervalMs: isParked ? PARKED_INTERVAL_MS : 0,
  };
  return {
    measure: () => measureLimit(TRANSPORTS[transport].options, parameters),
    close: async () => {},
    kill: () => {},
  };
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 */
function preparePair(pair, run, times) {
  if (run.kind === 'idle') return prepareIdle(pair, times);
  if (run.kind === 'oneway') return prepareOneWay(pair, run, times);
  return prepareRoundTrips(pair, run, times);
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @returns {Promise<Prepared['measure']>}
 */
async function prepareRoundTrips(pair, { kind, size }, times) {
  const runBatch = async (/** @type {number} */ count, intervalMs = 0) => {
    const { server, client } = await pair.run('rtt', { size }, { count, intervalMs });
    return { server, client, elapsedMs: client.elapsedNs / 1e6 };
  };
  const fitting = await warmUp(runBatch, times, LARGEST_BATCH.rtt);
  const isParked = kind === 'rtt-parked';
  const count = isParked ? Math.ceil(times.parkedMs / PARKED_INTERVAL_MS) : fitting;
  const leadIn = isParked ? PARKED_LEAD_IN_MESSAGES : Math.ceil(fitting * LEAD_IN);
  const intervalMs = isParked ? PARKED_INTERVAL_MS : 0;

  return async () => {
    await runBatch(leadIn, intervalMs);
    const othersShare = watchOthers(pair.pids);
    const { server, client, elapsedMs } = await runBatch(count, intervalMs);
    return {
      p50_us: client.p50_us,
      p99_us: client.p99_us,
      msgs_per_s: (count * 1e3) / elapsedMs,
      cpu_us_per_msg: cpuOfSpans([server.cpu, client.cpu]) / count,
      others_cpu: othersShare(),
    };
  };
}

/**
 * @param {Pair} pair
 * @param {import('./plan.mjs').Run} run
 * @param {Times} times
 * @returns {Promise<Prepared['measure']>}
 */
async function prepareOneWay(pair, { size, zeroCopy }, times) {
  const runBatch = async (/** @type {number} */ count) => {
    const { server, client } = await pair.run('oneway', { size, zeroCopy }, { count });
    return { server, client, elapsedMs: (server.endNs - client.startNs) / 1e6 };
  };
  const count = await warmUp(runBatch, times, LARGEST_BATCH.oneway);

  return async () => {
    await runBatch(Math.ceil(count * LEAD_IN));
    const othersShare = watchOthers(pair.pids);
    const { server, client, elapsedMs } = await runBatch(count);
    const perSecond = (count * 1e3) / elapsedMs;
    return {
      msgs_per_s: perSecond,
      gb_per_s: (perSecond * size) / 1e9,
      cpu_us_per_msg: cpuOfSpans([server.cpu, client.cpu]) / count,
      others_cpu: othersShare(),
    };
  };
}

/**
 * @param {Pair} pair
 * @param {Times} times
 * @returns {Promise<Prepared['measure']>}
 */
async function prepareIdle(pair, { settleMs, idleMs }) {
  await pair.run('idle', {}, {});

  return async () => {
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
  };
}

/**
 * @param {(count: number) => Promise<{ elapsedMs: number }>} runBatch
 * @param {Times} times
 * @param {number} largest
 * @param {number} [enough] messages that warm up
 * @returns {Promise<number>} how many messages fill the measured time
 */
export async function warmUp(runBatch, { warmUpMs, longestWarmUpMs, measureMs }, largest, enough = WARM_UP_MESSAGES) {
  let spentMs = 0;
  let messages = 0;
  for (let count = FIRST_BATCH; ; ) {
    const { elapsedMs } = await runBatch(count);
    spentMs += elapsedMs;
    messages += count;
    const perMs = count / elapsedMs;
    if (spentMs >= longestWarmUpMs || (spentMs >= warmUpMs && messages >= enough)) {
      return Math.max(FIRST_BATCH, Math.min(largest, Math.ceil(perMs * measureMs)));
    }
    count = Math.max(FIRST_BATCH, Math.min(largest, count * LARGEST_GROWTH, Math.ceil((perMs * warmUpMs) / 2)));
  }
}
