/** Two programs of ../dropin, which know nothing of what carries their bytes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PeerProcess } from './peer-process.mjs';
import { observeProcess } from './usage.mjs';

const PRELOAD = new URL('../../dist/register.js', import.meta.url).href;

let started = 0;

export class ProgramPair {
  #server;
  #client;
  #port = 0;
  /** Whether the connections are to leave TCP: both programs must be able to. */
  #isToSwitch;
  /** Where the preloaded ones tell in the end what became of their connections. @type {string[]} */
  #summaries = [];

  /**
   * @param {'net' | 'http'} programs
   * @param {string} title
   * @param {{ server: boolean, client: boolean }} isPreloaded
   * @param {string} [directory] for what they tell in the end; counting costs where connections are many
   */
  constructor(programs, title, isPreloaded, directory) {
    const start = (/** @type {'server' | 'client'} */ role) => {
      const script = new URL(`../dropin/${programs}-${role}.mjs`, import.meta.url);
      return new PeerProcess(script, [], `${title} ${role}`, this.#options(isPreloaded[role], directory));
    };
    this.#isToSwitch = isPreloaded.server && isPreloaded.client;
    this.#server = start('server');
    this.#client = start('client');
  }

  get pids() {
    return [this.#server.pid, this.#client.pid];
  }

  /** Gives each a CPU of its own, where there are two. */
  pin() {
    const [first, second] = usableCpus();
    if (second === undefined) return;
    const pin = (/** @type {number} */ pid, /** @type {number} */ cpu) =>
      execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', `${cpu}`, `${pid}`], { stdio: 'ignore' });
    pin(this.#server.pid, first);
    pin(this.#client.pid, second);
  }

  /** @param {{ size: number, port: string, connections?: number }} parameters */
  async open({ size, port, connections }) {
    const ports = await this.#server.call('listen', { size }).result;
    this.#port = ports[port];
    await this.#client.call('open', { port: this.#port, connections }).result;
  }

  /**
   * One batch of what the client does.
   * @param {string} method
   * @param {{ count: number, size: number }} batch
   * @returns {Promise<any>} what it reports
   */
  run(method, batch) {
    return this.#client.call(method, { ...batch, port: this.#port }).result;
  }

  /** Ends both. What did not switch, or did, is not what the figures are said to be of. */
  async close() {
    await Promise.all([this.#client.end(), this.#server.end()]);
    for (const file of this.#summaries) {
      const { switched, reasons } = JSON.parse(readFileSync(file, 'utf8'));
      if (switched > 0 === this.#isToSwitch) continue;
      throw new Error(`${switched} connections switched; why others did not: ${JSON.stringify(reasons)}`);
    }
  }

  kill() {
    this.#client.kill();
    this.#server.kill();
  }

  /**
   * @param {boolean} isPreloaded
   * @param {string | undefined} directory
   */
  #options(isPreloaded, directory) {
    const { NODE_OPTIONS, SHMLOOP, ...env } = process.env;
    if (!isPreloaded) return { execArgv: [], env };
    if (directory !== undefined) {
      env.SHMLOOP_SUMMARY = join(directory, `summary-${++started}`);
      this.#summaries.push(env.SHMLOOP_SUMMARY);
    }
    return { execArgv: ['--import', PRELOAD], env };
  }
}

/** @returns {number[]} which CPUs this process may use */
function usableCpus() {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Seen from outside: the programs do not count.
 * @param {ProgramPair} pair
 * @returns {number} microseconds that both have used so far
 */
export function cpuOf({ pids }) {
  return pids.reduce((sum, pid) => sum + observeProcess(pid).cpuNs, 0) / 1e3;
}
