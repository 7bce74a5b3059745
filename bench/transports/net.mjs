/** What TCP and UDS have in common: `node:net` as a good Node program uses it. */
import { once } from 'node:events';
import net from 'node:net';

const NOTHING = new Uint8Array(0);
const MESSAGES_PER_CORK = 256;

/** @implements {Endpoint} @typedef {import('./index.mjs').Endpoint} Endpoint */
export class SocketEndpoint {
  isStream = true;
  #socket;
  /** @type {(error: Error) => void} */
  #errorListener = () => {};

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket.setNoDelay(true);
    socket.on('error', (error) => this.#errorListener(error));
    socket.on('close', () => this.#errorListener(new Error('the connection closed')));
  }

  /** @param {Uint8Array} message */
  send(message) {
    return this.#socket.write(message);
  }

  drained() {
    return this.#socket.writableNeedDrain ? once(this.#socket, 'drain') : Promise.resolve();
  }

  flushed() {
    return new Promise((resolve) => this.#socket.write(NOTHING, resolve));
  }

  /** @param {(chunk: Uint8Array) => void} listener */
  onData(listener) {
    this.#socket.on('data', listener);
  }

  /** @param {(error: Error) => void} listener */
  onError(listener) {
    this.#errorListener = listener;
  }

  close() {
    this.#errorListener = () => {};
    this.#socket.destroy();
  }
}

/** Gathers messages by `cork`, as a program does that knows how many more it will write at once. */
export class CorkedEndpoint extends SocketEndpoint {
  #socket;
  #gathered = 0;

  /** @param {net.Socket} socket */
  constructor(socket) {
    super(socket);
    this.#socket = socket;
  }

  /**
   * @override
   * @param {Uint8Array} message
   */
  send(message) {
    if (this.#gathered === 0) this.#socket.cork();
    this.#socket.write(message);
    if (++this.#gathered < MESSAGES_PER_CORK) return true;
    this.#uncork();
    return !this.#socket.writableNeedDrain;
  }

  /** @override */
  flushed() {
    this.#uncork();
    return super.flushed();
  }

  #uncork() {
    this.#gathered = 0;
    this.#socket.uncork();
  }
}

/**
 * @param {net.ListenOptions} where
 * @param {number} connections
 * @param {typeof SocketEndpoint} [End]
 * @returns {Promise<{ server: net.Server, accepted: Promise<Endpoint[]> }>}
 */
export async function listen(where, connections, End = SocketEndpoint) {
  /** @type {Endpoint[]} */
  const endpoints = [];
  const server = net.createServer();
  const accepted = new Promise((resolve) => {
    server.on('connection', (socket) => {
      endpoints.push(new End(socket));
      if (endpoints.length === connections) resolve(endpoints);
    });
  });
  server.listen(where);
  await once(server, 'listening');
  return { server, accepted };
}

/**
 * @param {net.NetConnectOpts} where
 * @param {number} connections
 * @param {typeof SocketEndpoint} [End]
 * @returns {Promise<Endpoint[]>}
 */
export function dial(where, connections, End = SocketEndpoint) {
  return Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = net.connect(where);
      await once(socket, 'connect');
      return new End(socket);
    }),
  );
}
