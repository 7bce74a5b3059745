/**
 * Round trips of small messages, one outstanding: `rtt` sends the next at once,
 * `rtt-parked` every few milliseconds, when both sides are asleep. The clock
 * starts right before `send`: a late timer is not measured.
 */

import { latencies } from '../harness/statistics.mjs';
import { cpuStamp, nowNs } from '../harness/usage.mjs';

/**
 * @typedef {import('../transports/index.mjs').Endpoint} Endpoint
 * @typedef {{ size: number }} CaseOptions
 * @typedef {{ count: number, intervalMs?: number }} Batch
 * @typedef {import('../harness/calls.mjs').Answering} Answering
 */

/**
 * Sends every message back.
 * @param {readonly Endpoint[]} endpoints
 * @param {CaseOptions} options
 */
export function server([endpoint], { size }) {
  let messages = 0;
  let expected = 0;
  let before = cpuStamp();
  let finish = () => {};
  /** @type {(error: Error) => void} */
  let fail = () => {};
  endpoint.onError((error) => fail(error));
  endpoint.onData(
    inMessages(size, (message) => {
      if (messages === 0) before = cpuStamp();
      endpoint.send(message);
      if (++messages === expected) finish();
    }),
  );

  return async (/** @type {Batch} */ { count }, /** @type {Answering} */ { ready }) => {
    messages = 0;
    expected = count;
    /** @type {Promise<void>} */
    const finished = new Promise((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
    await ready();
    await finished;
    return { cpu: { before, after: cpuStamp() } };
  };
}

/**
 * @param {readonly Endpoint[]} endpoints
 * @param {CaseOptions} options
 */
export function client([endpoint], { size }) {
  const message = Buffer.alloc(size, 1);
  let starts = new BigInt64Array();
  let ends = new BigInt64Array();
  let messages = 0;
  let pauseMs = 0;
  let finish = () => {};
  /** @type {(error: Error) => void} */
  let fail = () => {};

  const sendNext = () => {
    message.writeUInt32LE(messages, size - 4);
    starts[messages] = process.hrtime.bigint();
    endpoint.send(message);
  };
  endpoint.onError((error) => fail(error));
  endpoint.onData(
    inMessages(size, (reply) => {
      ends[messages] = process.hrtime.bigint();
      if (sequenceAtEnd(reply) !== messages) return fail(new Error(`the reply to message ${messages} is not its echo`));
      if (++messages === ends.length) finish();
      else if (pauseMs === 0) sendNext();
      else setTimeout(sendNext, pauseMs);
    }),
  );

  return async (/** @type {Batch} */ { count, intervalMs = 0 }) => {
    starts = new BigInt64Array(count);
    ends = new BigInt64Array(count);
    messages = 0;
    pauseMs = intervalMs;
    /** @type {Promise<void>} */
    const finished = new Promise((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
    const before = cpuStamp();
    const start = nowNs();
    sendNext();
    await finished;
    const elapsedNs = nowNs() - start;
    return { elapsedNs, cpu: { before, after: cpuStamp() }, ...latencies(starts, ends) };
  };
}

/**
 * Chunks of a stream to messages of one size. With one message outstanding, a
 * chunk nearly always is one.
 * @param {number} size
 * @param {(message: Uint8Array) => void} onMessage
 * @returns {(chunk: Uint8Array) => void}
 */
function inMessages(size, onMessage) {
  const message = Buffer.alloc(size);
  let held = 0;
  return (chunk) => {
    if (held === 0 && chunk.length === size) return onMessage(chunk);
    message.set(chunk, held);
    held += chunk.length;
    if (held < size) return;
    held = 0;
    onMessage(message);
  };
}

/** @param {Uint8Array} message */
function sequenceAtEnd(message) {
  const end = message.length;
  return (message[end - 4] | (message[end - 3] << 8) | (message[end - 2] << 16) | (message[end - 1] << 24)) >>> 0;
}
