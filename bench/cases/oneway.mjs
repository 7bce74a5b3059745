/**
 * Messages in one direction, as fast as they go. The receiver counts bytes and
 * looks at the first and the last byte of each message (of each chunk, where the
 * transport is a stream). The clock stops when the receiver has everything.
 */
import { cpuStamp, nowNs } from '../harness/usage.mjs';

/**
 * @typedef {import('../transports/index.mjs').Endpoint} Endpoint
 * @typedef {{ size: number, zeroCopy?: boolean }} CaseOptions
 * @typedef {{ count: number }} Batch
 * @typedef {import('../harness/calls.mjs').Answering} Answering
 */

export const FIRST_BYTE = 3;
export const LAST_BYTE = 5;

/**
 * @param {readonly Endpoint[]} endpoints
 * @param {CaseOptions} options
 */
export function server([endpoint], { size, zeroCopy = false }) {
  let bytes = 0;
  let chunks = 0;
  let marks = 0;
  let expectedBytes = 0;
  let before = cpuStamp();
  let finish = () => {};
  /** @type {(error: Error) => void} */
  let fail = () => {};

  const onData = (/** @type {Uint8Array} */ chunk) => {
    if (bytes === 0) before = cpuStamp();
    bytes += chunk.length;
    chunks++;
    marks += chunk[0] + chunk[chunk.length - 1];
    if (bytes >= expectedBytes) finish();
  };
  endpoint.onError((error) => fail(error));
  if (zeroCopy) endpoint.onView?.(onData);
  else endpoint.onData(onData);

  return async (/** @type {Batch} */ { count }, /** @type {Answering} */ { ready }) => {
    bytes = chunks = marks = 0;
    expectedBytes = count * size;
    let endNs = 0;
    let after = before;
    await /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        fail = reject;
        finish = () => {
          endNs = nowNs();
          after = cpuStamp();
          resolve();
        };
        ready().catch(reject);
      })
    );
    if (bytes !== expectedBytes) throw new Error(`received ${bytes} bytes instead of ${expectedBytes}`);
    if (!endpoint.isStream && (chunks !== count || marks !== count * (FIRST_BYTE + LAST_BYTE))) {
      throw new Error(`received ${chunks} messages with marks ${marks} instead of ${count}`);
    }
    return { endNs, cpu: { before, after } };
  };
}

/**
 * @param {readonly Endpoint[]} endpoints
 * @param {CaseOptions} options
 */
export function client([endpoint], { size }) {
  const message = Buffer.alloc(size, 4);
  message[0] = FIRST_BYTE;
  message[size - 1] = LAST_BYTE;

  /** @returns {number} how many of them were sent until the transport asked for a pause */
  const sendUntilFull = (/** @type {number} */ count) => {
    for (let sent = 1; sent <= count; sent++) {
      if (!endpoint.send(message)) return sent;
    }
    return count;
  };

  return async (/** @type {Batch} */ { count }) => {
    const failed = new Promise((_, reject) => endpoint.onError(reject));
    failed.catch(() => {});
    const before = cpuStamp();
    const startNs = nowNs();
    await Promise.race([sendAll(), failed]);
    return { startNs, cpu: { before, after: cpuStamp() } };

    async function sendAll() {
      for (let left = count; left > 0; ) {
        left -= sendUntilFull(left);
        if (left > 0) await endpoint.drained();
      }
      await endpoint.flushed();
    }
  };
}
