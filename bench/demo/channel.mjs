/** The demonstration over channels of shmloop. */
import { once } from 'node:events';
import { bind, connect as connectChannel } from 'shmloop';

let served = 0;

export async function serve() {
  const name = `demo-${process.pid}-${++served}`;
  const server = await bind(name);
  const accepted = once(server, 'channel').then(([channel]) => new ServerSide(channel));
  return { address: name, accepted, close: () => server.close() };
}

/** @param {string} name */
export async function connect(name) {
  return new ClientSide(await connectChannel(name));
}

class ServerSide {
  #channel;
  /** @type {(view: Buffer) => void} */
  #onView = () => {};

  /** @param {import('shmloop').Channel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /**
   * Resolves when the buffer is full. Takes messages where they are, in the ring.
   * @param {Buffer} target
   * @returns {Promise<void>}
   */
  receive(target) {
    return new Promise((resolve, reject) => {
      let received = 0;
      this.#channel.once('error', reject);
      this.#onView = (view) => {
        target.set(view, received);
        received += view.length;
        if (received < target.length) return;
        this.#channel.off('error', reject);
        resolve();
      };
      this.#channel.consume((view) => this.#onView(view));
    });
  }

  /** @param {(request: Buffer) => Promise<Buffer>} handler */
  handle(handler) {
    this.#channel.handle(handler);
  }

  close() {
    return this.#channel.close();
  }
}

class ClientSide {
  #channel;

  /** @param {import('shmloop').Channel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /** @param {readonly Uint8Array[]} chunks */
  async send(chunks) {
    for (const chunk of chunks) {
      if (!this.#channel.send(chunk)) await this.#channel.drained();
    }
  }

  /**
   * @param {Uint8Array} payload
   * @returns {Promise<Buffer>}
   */
  request(payload) {
    return this.#channel.request(payload);
  }

  close() {
    return this.#channel.close();
  }
}
