/** Channels of shmloop, received by the event loop: copied (`message`) or lent (`consume`). */
import { bind, configure, connect as connectChannel } from 'shmloop';

/** @implements {Endpoint} @typedef {import('./index.mjs').Endpoint} Endpoint */
class ChannelEndpoint {
  isStream = false;
  #channel;
  /** @type {(error: Error) => void} */
  #errorListener = () => {};

  /** @param {import('shmloop').Channel} channel */
  constructor(channel) {
    this.#channel = channel;
    channel.on('error', (error) => this.#errorListener(error));
    channel.on('close', () => this.#errorListener(new Error('the channel closed')));
  }

  /** @param {Uint8Array} message */
  send(message) {
    return this.#channel.send(message);
  }

  drained() {
    return this.#channel.drained();
  }

  flushed() {
    return this.#channel.drained();
  }

  /** @param {(chunk: Uint8Array) => void} listener */
  onData(listener) {
    this.#channel.on('message', listener);
  }

  /** @param {(view: Uint8Array) => void} listener */
  onView(listener) {
    this.#channel.consume(listener);
  }

  /** @param {(error: Error) => void} listener */
  onError(listener) {
    this.#errorListener = listener;
  }

  close() {
    this.#errorListener = () => {};
    return this.#channel.close();
  }
}

/** @param {import('./index.mjs').Setting} setting */
export async function serve({ connections, options }) {
  configure({ waiting: options.waiting });
  const name = `bench-${process.pid}`;
  const server = await bind(name);
  /** @type {Endpoint[]} */
  const endpoints = [];
  const accepted = new Promise((resolve) => {
    server.on('channel', (channel) => {
      endpoints.push(new ChannelEndpoint(channel));
      if (endpoints.length === connections) resolve(endpoints);
    });
  });
  return { address: name, accepted, close: () => server.close() };
}

/**
 * @param {string} name
 * @param {import('./index.mjs').Setting} setting
 */
export async function connect(name, { connections, options }) {
  configure({ waiting: options.waiting });
  const channels = await Promise.all(Array.from({ length: connections }, () => connectChannel(name)));
  return channels.map((channel) => new ChannelEndpoint(channel));
}
