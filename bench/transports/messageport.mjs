/**
 * `MessagePort` between the main thread and a worker of one process, whose
 * messages are copied (structured clone). It has no backpressure, so the two
 * ends keep a window, as a program must that does not want to run out of memory.
 */
import { MessageChannel, Worker, workerData } from 'node:worker_threads';

const WINDOW_MESSAGES = 2048;
const WINDOW_BYTES = 16 << 20;

/** @implements {Endpoint} @typedef {import('./index.mjs').Endpoint} Endpoint */
class PortEndpoint {
  isStream = false;
  #port;
  /** The receiver returns credit in quarters of the window. */
  #window = WINDOW_MESSAGES;
  #outstanding = 0;
  #unreturned = 0;
  /** @type {(value?: unknown) => void} */
  #wake = () => {};

  /** @param {import('node:worker_threads').MessagePort} port */
  constructor(port) {
    this.#port = port;
  }

  /** @param {Uint8Array} message */
  send(message) {
    this.#port.postMessage(message);
    return ++this.#outstanding < this.#window;
  }

  drained() {
    this.#listen();
    if (this.#outstanding < this.#window) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async flushed() {}

  /** @param {(chunk: Uint8Array) => void} listener */
  onData(listener) {
    this.#listen(listener);
  }

  onError() {}

  close() {
    this.#port.close();
  }

  /** @param {(chunk: Uint8Array) => void} [listener] */
  #listen(listener) {
    if (this.#port.listenerCount('message') > 0) return;
    this.#port.on('message', (message) => {
      if (typeof message === 'number') {
        this.#outstanding -= message;
        this.#wake();
        return;
      }
      listener?.(message);
      const window = Math.min(WINDOW_MESSAGES, Math.ceil(WINDOW_BYTES / message.length));
      if (++this.#unreturned >= window / 4) {
        this.#port.postMessage(this.#unreturned);
        this.#unreturned = 0;
      }
    });
  }
}

/** @type {Endpoint[]} */
let localEndpoints = [];

/**
 * @param {URL} script
 * @param {string[]} parameters
 * @param {number} connections
 * @returns {Worker} holds the other end of each connection
 */
export function startWorker(script, parameters, connections) {
  const channels = Array.from({ length: connections }, () => new MessageChannel());
  const remotePorts = channels.map(({ port2 }) => port2);
  localEndpoints = channels.map(({ port1 }) => new PortEndpoint(port1));
  return new Worker(script, { argv: parameters, workerData: remotePorts, transferList: remotePorts });
}

export function serve() {
  /** @type {import('node:worker_threads').MessagePort[]} */
  const ports = workerData;
  return { address: null, accepted: Promise.resolve(ports.map((port) => new PortEndpoint(port))), close: () => {} };
}

export async function connect() {
  return localEndpoints;
}
