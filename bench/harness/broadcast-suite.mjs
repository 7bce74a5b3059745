/** `npm run bench -- broadcast`: one writer to many readers, each a process, through one region and over TCP to each. */

import net from 'node:net';
import { LARGEST_BATCH, LEAD_IN, warmUp } from './measure.mjs';
import { PeerProcess } from './peer-process.mjs';
import { formatBroadcastRows } from './report.mjs';
import { compareWithTcp } from './statistics.mjs';
import { observeProcess, watchOthers } from './usage.mjs';

/** @type {Record<string, number>} */
const CASES = { 'readers-1': 1, 'readers-4': 4, 'readers-16': 16 };
const SIZES = [64, 1 << 10, 64 << 10];

/** @type {import('./run.mjs').Suite} */
export const suite = {
  usage: 'npm run bench -- broadcast [options]',
  cases: Object.keys(CASES),
  transports: ['shmloop', 'tcp'],
  makePlan,
  prepare,
  compare: compareWithTcp,
  format: formatBroadcastRows,
};

/**
 * @param {readonly string[]} cases
 * @param {readonly string[]} transports
 * @returns {import('./plan.mjs').Group[]}
 */
function makePlan(cases, transports) {
  return cases.flatMap((name) =>
    SIZES.map((size) => ({
      title: `${name} ${size}`,
      runs: transports.map((transport) => ({ transport, kind: name, size, cases: [name] })),
    })),
  );
}

/**
 * @param {{ transport: string, kind: string, size: number }} run
 * @param {import('./measure.mjs').Times} times
 * @param {string} directory
 * @returns {Promise<import('./measure.mjs').Prepared>}
 */
async function prepare({ transport, kind, size }, times, directory) {
  const group = new ReaderGroup(transport, await freePort(), { ...process.env, XDG_RUNTIME_DIR: directory });
  try {
    await group.open(CASES[kind]);
    const runBatch = (/** @type {number} */ count) => group.run(count, size);
    const count = await warmUp(runBatch, times, LARGEST_BATCH.oneway);
    return {
      measure: () => measure(group, count, size),
      close: () => group.close(),
      kill: () => group.kill(),
    };
  } catch (error) {
    group.kill();
    throw error;
  }
}

/**
 * @param {ReaderGroup} group
 * @param {number} count
 * @param {number} size
 */
async function measure(group, count, size) {
  await group.run(Math.ceil(count * LEAD_IN), size);
  const othersShare = watchOthers(group.pids);
  const before = group.cpuUs();
  const { elapsedMs } = await group.run(count, size);
  const perSecond = (count * 1e3) / elapsedMs;
  return {
    msgs_per_s: perSecond,
    gb_per_s: (perSecond * size) / 1e9,
    cpu_us_per_msg: (group.cpuUs() - before) / count,
    others_cpu: othersShare(),
  };
}

/** A writer and its readers, each a process of its own. */
class ReaderGroup {
  #start;
  #writer;
  /** @type {PeerProcess[]} */
  #readers = [];

  /**
   * @param {string} transport
   * @param {number} port for TCP
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(transport, port, env) {
    this.#start = (/** @type {string} */ program) =>
      new PeerProcess(
        new URL(`../broadcast/${program}.mjs`, import.meta.url),
        [transport, `${port}`],
        `${transport} ${program}`,
        { env },
      );
    this.#writer = this.#start('publisher');
  }

  get pids() {
    return [this.#writer, ...this.#readers].map(({ pid }) => pid);
  }

  /** @param {number} readers */
  async open(readers) {
    const { ready, result } = this.#writer.call('open', { readers });
    await ready;
    this.#readers = Array.from({ length: readers }, () => this.#start('reader'));
    await Promise.all(this.#readers.map((reader) => reader.call('open').result));
    await result;
  }

  /**
   * Sends so many messages. It took until the last reader had all of them.
   * @param {number} count
   * @param {number} size
   */
  async run(count, size) {
    const calls = this.#readers.map((reader) => reader.call('receive', { bytes: count * size }));
    await Promise.all(calls.map(({ ready }) => ready));
    const { startNs } = await this.#writer.call('send', { count, size }).result;
    const ends = await Promise.all(calls.map(async ({ result }) => (await result).endNs));
    return { elapsedMs: (Math.max(...ends) - startNs) / 1e6 };
  }

  /** @returns {number} microseconds that all have used so far, seen from outside */
  cpuUs() {
    return this.pids.reduce((sum, pid) => sum + observeProcess(pid).cpuNs, 0) / 1e3;
  }

  async close() {
    const all = [...this.#readers, this.#writer];
    await Promise.all(all.map((peer) => peer.call('close').result));
    await Promise.all(all.map((peer) => peer.end()));
  }

  kill() {
    for (const peer of [...this.#readers, this.#writer]) peer.kill();
  }
}

/** @returns {Promise<number>} a port that nobody has */
function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
