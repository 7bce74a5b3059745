/** Loopback TCP by `node:net`; as many buffers as the other has, each used again when it was written. */
import { once } from 'node:events';
import net from 'node:net';
import { BUFFERED_BYTES } from './work.mjs';

export async function serve() {
  const server = net.createServer();
  const accepted = once(server, 'connection');
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    address: /** @type {net.AddressInfo} */ (server.address()).port,
    /** @param {(piece: Buffer) => void} take */
    async receive(take) {
      const [socket] = await accepted;
      socket.on('data', take);
    },
  };
}

/** @param {number} port @param {number} size */
export async function dial(port, size) {
  const socket = net.connect(port, '127.0.0.1').setNoDelay(true);
  await once(socket, 'connect');
  const free = Array.from({ length: BUFFERED_BYTES / size }, () => Buffer.alloc(size));
  /** @type {(() => void) | undefined} */
  let wake;
  return async (/** @type {(buffer: Buffer) => void} */ write) => {
    while (free.length === 0) {
      await /** @type {Promise<void>} */ (
        new Promise((resolve) => {
          wake = resolve;
        })
      );
    }
    const buffer = /** @type {Buffer} */ (free.pop());
    write(buffer);
    socket.write(buffer, () => {
      free.push(buffer);
      wake?.();
    });
  };
}
