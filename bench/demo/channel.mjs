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

  /** @param {import('shmloop').Channel} channel */
  constructor(channel) {
    this.#channel = channel;
  }

  /**
   * @param {number} length
   * @returns {Promise<Uint8Array[]>} the bytes, as they came
   */
  receive(length) {
    return new Promise((resolve, reject) => {
      /** @type {Uint8Array[]} */
      const chunks = [];
      let received = 0;
      const onMessage = (/** @type {Buffer} */ message) => {
        chunks.push(message);
        received += message.length;
        if (received < length) return;
        this.#channel.off('message', onMessage).off('error', reject);
        resolve(chunks);
      };
      this.#channel.on('message', onMessage).on('error', reject);
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
