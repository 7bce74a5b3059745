/** `sendRegion` from a pool; the receiver looks at the sender's pages. */
import { bind, connect, RegionPool } from 'shmloop';
import { BUFFERED_BYTES } from './work.mjs';

/** @param {number} size */
export async function serve(size) {
  const name = `bench-grants-${process.pid}`;
  const server = await bind(name, { maxMessageSize: size });
  const accepted = server[Symbol.asyncIterator]().next();
  return {
    address: name,
    /** @param {(piece: Buffer) => void} take */
    async receive(take) {
      const { value: channel } = await accepted;
      for await (const message of channel.regions()) {
        take(message.buffer);
        message.release();
      }
    },
  };
}

/** @param {string} name @param {number} size */
export async function dial(name, size) {
  const channel = await connect(name);
  const pool = new RegionPool({ size: BUFFERED_BYTES });
  return async (/** @type {(buffer: Buffer) => void} */ write) => {
    const block = await pool.allocateWhenFree(size);
    write(block.buffer);
    void channel.sendRegion(block);
  };
}
