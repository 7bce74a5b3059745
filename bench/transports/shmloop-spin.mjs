/** Channels of shmloop by blocking calls, in threads that do nothing else. */
import { once } from 'node:events';
import { bind, configure, connect as connectChannel } from 'shmloop';

const WAIT_LIMIT_MS = 10_000;

/** @implements {BlockingEndpoint} @typedef {import('./index.mjs').BlockingEndpoint} BlockingEndpoint */
class BlockingChannelEndpoint {
  #channel;

  /** @param {import('shmloop').Channel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /** @param {Uint8Array} message */
  send(message) {
    this.#channel.sendSync(message, WAIT_LIMIT_MS);
  }

  receive() {
    const message = this.#channel.receiveSync(WAIT_LIMIT_MS);
    if (message === null) throw new Error('the channel ended');
    return message;
  }

  /** Spinning is for the time of a batch: in between, others are measured. */
  wake() {
    configure({ waiting: 'spin' });
  }

  rest() {
    configure({ waiting: 'park' });
  }

  close() {
    return this.#channel.close();
  }
}

export async function serve() {
  configure({ waiting: 'park' });
  const name = `bench-${process.pid}`;
  const server = await bind(name);
  const accepted = once(server, 'channel').then(([channel]) => [new BlockingChannelEndpoint(channel)]);
  return { address: name, accepted, close: () => server.close() };
}

/** @param {string} name */
export async function connect(name) {
  configure({ waiting: 'park' });
  return [new BlockingChannelEndpoint(await connectChannel(name))];
}
