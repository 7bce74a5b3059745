/** `npm run bench -- dropin`: the programs of ../dropin as they are, with the preload and without. */

import { LARGEST_BATCH, warmUp } from './measure.mjs';
import { cpuOf, ProgramPair } from './program-pair.mjs';
import { formatDropinRows } from './report.mjs';
import { compareWithTcp } from './statistics.mjs';
import { loopbackBytes, watchOthers } from './usage.mjs';

/**
 * Where the preload is.
 * @type {Record<string, { server: boolean, client: boolean }>}
 */
const TRANSPORTS = {
  tcp: { server: false, client: false },
  dropin: { server: true, client: true },
  'dropin-one-sided': { server: false, client: true },
};

/** Bytes after which memory and code of both ends are warm. */
const WARM_UP_BYTES = 3e9;
/** Of each pair in a round, and what part of the usual time each takes. */
const TURNS = 8;
const TURN = 1 / 4;
/** As much of a turn goes before it: how busy each CPU was the scheduler remembers for some 100 ms. */
const LEAD_IN = 1 / 2;
/** In place of the usual: each round starts anew, and has its time for it. */
const LONGER_WARM_UP = 3;

/**
 * What the client does, with which port of its server, and whether its connections are to leave TCP.
 * @typedef {object} Case
 * @property {'net' | 'http'} programs
 * @property {string} method
 * @property {string} port
 * @property {readonly number[]} sizes
 * @property {number} [connections]
 * @property {readonly string[]} [transports] that are compared
 * @property {boolean} [isPinned] each program to a CPU of its own: whether both have one or two makes far more of a
 *   difference than what is looked for
 * @property {boolean} switches
 * @property {number} [warmUp] messages, where they run so much code that it takes long until it is compiled
 */

const BOTH_OR_NONE = ['tcp', 'dropin'];
const ONE_SIDED = { transports: ['tcp', 'dropin-one-sided'], isPinned: true, switches: true };

/** @type {Record<string, Case>} */
const CASES = {
  rtt: { programs: 'net', method: 'rtt', port: 'echo', sizes: [64], switches: true },
  oneway: {
    programs: 'net',
    method: 'oneway',
    port: 'count',
    sizes: [64, 1 << 10, 64 << 10, 1 << 20],
    switches: true,
  },
  'http-1': {
    programs: 'http',
    method: 'get',
    port: 'http',
    sizes: [64],
    connections: 1,
    switches: true,
    warmUp: 8000,
  },
  'http-32': {
    programs: 'http',
    method: 'get',
    port: 'http',
    sizes: [64],
    connections: 32,
    switches: true,
    warmUp: 8000,
  },
  connect: { programs: 'net', method: 'connect', port: 'echo', sizes: [64], switches: false, warmUp: 4000 },
  'rtt-one-sided': { programs: 'net', method: 'rtt', port: 'echo', sizes: [64], ...ONE_SIDED },
  'oneway-one-sided': { programs: 'net', method: 'oneway', port: 'count', sizes: [64 << 10], ...ONE_SIDED },
};

/** @type {import('./run.mjs').Suite} */
export const suite = {
  usage: 'npm run bench -- dropin [options]',
  cases: Object.keys(CASES),
  transports: Object.keys(TRANSPORTS),
  quick: { rounds: 5 },
  turns: TURNS,
  makePlan,
  prepare,
  compare: compareWithTcp,
  format: formatDropinRows,
};

/**
 * @param {readonly string[]} cases
 * @param {readonly string[]} transports
 * @returns {import('./plan.mjs').Group[]}
 */
function makePlan(cases, transports) {
  return cases.flatMap((name) => {
    const { sizes, transports: all = BOTH_OR_NONE } = CASES[name];
    const compared = transports.filter((transport) => all.includes(transport));
    return sizes.map((size) => {
      const runs = compared.map((transport) => ({ transport, kind: name, size, cases: [name] }));
      return { title: `${name} ${size}`, runs };
    });
  });
}

/**
 * Two processes keep for as long as they live what the one has to the advantage of others: by where their memory lies,
 * and what was compiled when. So each round has new ones. They are all there for all of the round, and what is measured
 * of them in turn is short: what others do to the machine from one moment to the next is more than what is compared.
 * @param {{ transport: string, kind: string, size: number }} run
 * @param {import('./measure.mjs').Times} times
 * @param {string} directory
 * @returns {Promise<import('./measure.mjs').Prepared>}
 */
async function prepare({ transport, kind, size }, times, directory) {
  const { programs, switches, isPinned = false } = CASES[kind];
  const summaries = switches ? directory : undefined;
  /** @type {ProgramPair} */
  let pair;
  /** @type {() => Promise<import('./measure.mjs').Measurement>} */
  let measure;
  return {
    begin: async () => {
      pair = new ProgramPair(programs, transport, TRANSPORTS[transport], summaries);
      if (isPinned) pair.pin();
      measure = await prepareTurns(pair, kind, size, times);
    },
    measure: () => measure(),
    end: () => pair.close(),
    close: async () => {},
    kill: () => pair?.kill(),
  };
}

/**
 * @param {ProgramPair} pair
 * @param {string} kind
 * @param {number} size
 * @param {import('./measure.mjs').Times} times
 */
async function prepareTurns(pair, kind, size, times) {
  const { method, port, connections, warmUp: enough } = CASES[kind];
  await pair.open({ size, port, connections });
  const runBatch = async (/** @type {number} */ count) => {
    const report = await pair.run(method, { count, size });
    return { ...report, elapsedMs: report.elapsedNs / 1e6 };
  };
  const isOneWay = method === 'oneway';
  const longer = { longestWarmUpMs: LONGER_WARM_UP * times.longestWarmUpMs, measureMs: TURN * times.measureMs };
  const largest = isOneWay ? LARGEST_BATCH.oneway : LARGEST_BATCH.rtt;
  const messages = isOneWay ? WARM_UP_BYTES / size : enough;
  const count = await warmUp(runBatch, { ...times, ...longer }, largest, messages);
  return () => measure(pair, runBatch, { count, method, size, connections });
}

/**
 * @param {ProgramPair} pair
 * @param {(count: number) => Promise<{ elapsedMs: number, p50_us?: number, p99_us?: number }>} runBatch
 * @param {{ count: number, method: string, size: number, connections?: number }} what
 */
async function measure(pair, runBatch, { count, method, size, connections }) {
  await runBatch(Math.ceil(count * LEAD_IN));
  const othersShare = watchOthers(pair.pids);
  const cpuBefore = cpuOf(pair);
  const bytesBefore = loopbackBytes();
  const { elapsedMs, p50_us, p99_us } = await runBatch(count);
  const bytes = loopbackBytes() - bytesBefore;
  const cpuUs = cpuOf(pair) - cpuBefore;
  const perSecond = (count * 1e3) / elapsedMs;
  const latencies = p50_us === undefined ? {} : { p50_us, p99_us };
  const volume = method === 'oneway' ? { gb_per_s: (perSecond * size) / 1e9, lo_ratio: bytes / (count * size) } : {};
  return {
    ...(connections === undefined ? {} : { connections }),
    ...latencies,
    msgs_per_s: perSecond,
    ...volume,
    cpu_us_per_msg: cpuUs / count,
    others_cpu: othersShare(),
  };
}
