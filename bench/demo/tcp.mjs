/** The demonstration over loopback TCP, as a good Node program would do it. */
import { once } from 'node:events';
import net from 'node:net';

const HOST = '127.0.0.1';
const HEADER_BYTES = 4;

export async function serve() {
  const server = net.createServer({ noDelay: true });
  server.listen({ host: HOST, port: 0 });
  await once(server, 'listening');
  const accepted = once(server, 'connection').then(([socket]) => new TcpServerSide(socket));
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  return { address: port, accepted, close: () => server.close() };
}

/** @param {number} port */
export async function connect(port) {
  const socket = net.connect({ host: HOST, port, noDelay: true });
  await once(socket, 'connect');
  return new TcpClientSide(socket);
}

class TcpServerSide {
  #socket;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  /**
   * Resolves when the buffer is full.
   * @param {Buffer} target
   * @returns {Promise<void>}
   */
  receive(target) {
    return new Promise((resolve, reject) => {
      let received = 0;
      const onData = (/** @type {Buffer} */ chunk) => {
        target.set(chunk, received);
        received += chunk.length;
        if (received < target.length) return;
        this.#socket.off('data', onData).off('error', reject);
        resolve();
      };
      this.#socket.on('data', onData).on('error', reject);
    });
  }

  /** @param {(request: Buffer) => Promise<Buffer>} handler */
  handle(handler) {
    const onFrame = frameParser(async (request) => this.#socket.write(toFrame(await handler(request))));
    this.#socket.on('data', onFrame);
  }

  close() {
    this.#socket.destroy();
  }
}

class TcpClientSide {
  #socket;
  /** Replies come in the order of the requests. @type {((reply: Buffer) => void)[]} */
  #waiting = [];

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.on(
      'data',
      frameParser((reply) => this.#waiting.shift()?.(reply)),
    );
  }

  /** @param {readonly Uint8Array[]} chunks */
  async send(chunks) {
    for (const chunk of chunks) {
      if (!this.#socket.write(chunk)) await once(this.#socket, 'drain');
    }
  }

  /**
   * @param {Uint8Array} payload
   * @returns {Promise<Buffer>}
   */
  request(payload) {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(toFrame(payload));
    });
  }

  close() {
    this.#socket.destroy();
  }
}

/** @param {Uint8Array} payload */
function toFrame(payload) {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32LE(payload.length);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/**
 * @param {(payload: Buffer) => void} onFrame
 * @returns {(chunk: Buffer) => void}
 */
function frameParser(onFrame) {
  /** @type {Buffer} */
  let held = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + held.readUInt32LE();
      if (held.length < end) return;
      const payload = held.subarray(HEADER_BYTES, end);
      held = held.subarray(end);
      onFrame(payload);
    }
  };
}
