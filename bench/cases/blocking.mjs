/**
 * The same cases for transports whose calls block: no event loop while a batch runs.
 */

import { latencies } from '../harness/statistics.mjs';
import { cpuStamp, nowNs } from '../harness/usage.mjs';
import { FIRST_BYTE, LAST_BYTE } from './oneway.mjs';

/**
 * @typedef {import('../transports/index.mjs').BlockingEndpoint} Endpoint
 * @typedef {{ size: number }} CaseOptions
 * @typedef {{ count: number, intervalMs?: number }} Batch
 * @typedef {import('../harness/calls.mjs').Answering} Answering
 */

const sleepWord = new Int32Array(new SharedArrayBuffer(4));

export const rtt = {
  /** @param {readonly Endpoint[]} endpoints */
  server([endpoint]) {
    return async (/** @type {Batch} */ { count }, /** @type {Answering} */ { ready }) => {
      await ready();
      endpoint.send(endpoint.receive());
      const before = cpuStamp();
      for (let i = 1; i < count; i++) endpoint.send(endpoint.receive());
      return { cpu: { before, after: cpuStamp() } };
    };
  },

  /**
   * @param {readonly Endpoint[]} endpoints
   * @param {CaseOptions} options
   */
  client([endpoint], { size }) {
    const message = Buffer.alloc(size, 1);
    return async (/** @type {Batch} */ { count, intervalMs = 0 }) => {
      const starts = new BigInt64Array(count);
      const ends = new BigInt64Array(count);
      const before = cpuStamp();
      const start = nowNs();
      for (let i = 0; i < count; i++) {
        if (intervalMs !== 0) Atomics.wait(sleepWord, 0, 0, intervalMs);
        message.writeUInt32LE(i, size - 4);
        starts[i] = process.hrtime.bigint();
        endpoint.send(message);
        const reply = endpoint.receive();
        ends[i] = process.hrtime.bigint();
        if (reply.readUInt32LE(size - 4) !== i) throw new Error(`the reply to message ${i} is not its echo`);
      }
      const elapsedNs = nowNs() - start;
      return { elapsedNs, cpu: { before, after: cpuStamp() }, ...latencies(starts, ends) };
    };
  },
};

export const oneway = {
  /** @param {readonly Endpoint[]} endpoints */
  server([endpoint]) {
    return async (/** @type {Batch} */ { count }, /** @type {Answering} */ { ready }) => {
      await ready();
      let message = endpoint.receive();
      let marks = message[0] + message[message.length - 1];
      const before = cpuStamp();
      for (let i = 1; i < count; i++) {
        message = endpoint.receive();
        marks += message[0] + message[message.length - 1];
      }
      const endNs = nowNs();
      if (marks !== count * (FIRST_BYTE + LAST_BYTE)) throw new Error('received damaged messages');
      return { endNs, cpu: { before, after: cpuStamp() } };
    };
  },

  /**
   * @param {readonly Endpoint[]} endpoints
   * @param {CaseOptions} options
   */
  client([endpoint], { size }) {
    const message = Buffer.alloc(size, 4);
    message[0] = FIRST_BYTE;
    message[size - 1] = LAST_BYTE;
    return async (/** @type {Batch} */ { count }) => {
      const before = cpuStamp();
      const startNs = nowNs();
      for (let i = 0; i < count; i++) endpoint.send(message);
      return { startNs, cpu: { before, after: cpuStamp() } };
    };
  },
};
