/** The two sides of one measurement. */
import { TRANSPORTS } from '../transports/index.mjs';
import { MAIN, WORKER } from './calls.mjs';
import { PeerProcess } from './peer-process.mjs';

const PEER = new URL('./peer.mjs', import.meta.url);

export class Pair {
  #server;
  #client;
  #serverThread;

  /**
   * @param {string} transport
   * @param {number} connections
   * @param {string} directory for files of this run
   */
  constructor(transport, connections, directory) {
    const start = (/** @type {string} */ role) =>
      new PeerProcess(PEER, [transport, role, String(connections), directory], `${transport} ${role}`);
    this.#client = start('client');
    const isOneProcess = TRANSPORTS[transport].sides === 'threads';
    this.#server = isOneProcess ? this.#client : start('server');
    this.#serverThread = isOneProcess ? WORKER : MAIN;
  }

  /** The process identifiers, each once. */
  get pids() {
    return [...new Set([this.#server.pid, this.#client.pid])];
  }

  async open() {
    const address = await this.#callServer('open', {}).result;
    await this.#client.call('open', { address }).result;
  }

  /**
   * One batch of a case on both sides.
   * @param {string} name
   * @param {unknown} options the same for all batches of a pair
   * @param {unknown} batch
   * @returns {Promise<{ server: any, client: any }>} what each side reports
   */
  async run(name, options, batch) {
    const server = this.#callServer('run', { name, options, batch });
    await server.ready;
    const client = this.#client.call('run', { name, options, batch });
    const [serverReport, clientReport] = await Promise.all([server.result, client.result]);
    return { server: serverReport, client: clientReport };
  }

  async close() {
    await Promise.all([this.#client.call('close').result, this.#callServer('close', {}).result]);
    await Promise.all([...new Set([this.#client, this.#server])].map((peer) => peer.end()));
  }

  kill() {
    this.#client.kill();
    this.#server.kill();
  }

  /**
   * @param {string} method
   * @param {unknown} parameters
   */
  #callServer(method, parameters) {
    return this.#server.call(method, parameters, { to: this.#serverThread });
  }
}
