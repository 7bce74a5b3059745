/**
 * One process of the demonstration; it serves or uses all transports in turn.
 *
 *   node peer.mjs server|client
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { answerCalls } from '../harness/calls.mjs';
import { latencies } from '../harness/statistics.mjs';
import { cpuStamp, nowNs } from '../harness/usage.mjs';

const CHUNK_BYTES = 64 << 10;
const REQUEST_BYTES = 64;
const REQUESTS_PER_PROGRESS = 2048;

const MODULES = {
  tcp: () => import('./tcp.mjs'),
  shmloop: () => import('./channel.mjs'),
};

/**
 * A connection of each, by transport and purpose.
 * @typedef {{ address: any, accepted: Promise<any>, close: () => unknown }} Serving
 */

/** @type {Map<string, Serving>} */
const servers = new Map();
/** @type {Map<string, any>} */
const sides = new Map();
/** The file, in the client. @type {Uint8Array[]} */
let chunks = [];
/** And in the server. */
let received = Buffer.alloc(0);

const [role] = process.argv.slice(2);
const cpu = cpuStamp;
answerCalls(
  role === 'server'
    ? { openServer, receiveFile, serveRequests, cpu, close }
    : { openClient, readFileOnce, sendFile, makeRequests, cpu, close },
);

/** @param {{ transport: keyof typeof MODULES, purpose: string }} parameters */
async function openServer({ transport, purpose }) {
  const serving = await (await MODULES[transport]()).serve();
  servers.set(`${transport} ${purpose}`, serving);
  return serving.address;
}

/** @param {{ transport: keyof typeof MODULES, purpose: string, address: any }} parameters */
async function openClient({ transport, purpose, address }) {
  const { connect } = /** @type {{ connect: (address: any) => Promise<any> }} */ (await MODULES[transport]());
  sides.set(`${transport} ${purpose}`, await connect(address));
}

/**
 * Reads the file into memory, so that no disk is measured.
 * @param {{ path: string }} parameters
 */
async function readFileOnce({ path }) {
  const bytes = await readFile(path);
  chunks = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.subarray(at, at + CHUNK_BYTES));
  return { length: bytes.length, digest: createHash('sha256').update(bytes).digest('hex') };
}

/** @param {{ transport: string }} parameters */
async function sendFile({ transport }) {
  const side = sides.get(`${transport} file`);
  const before = cpuStamp();
  const startNs = nowNs();
  await side.send(chunks);
  return { startNs, cpu: { before, after: cpuStamp() } };
}

/**
 * The clock stops when all bytes are in the server's buffer; then they are hashed.
 * @param {{ transport: string, length: number }} parameters
 * @param {import('../harness/calls.mjs').Answering} answering
 */
async function receiveFile({ transport, length }, { ready }) {
  const side = await accepted(transport, 'file');
  if (received.length !== length) received = Buffer.allocUnsafeSlow(length);
  received.fill(0);
  const receiving = side.receive(received);
  await ready();
  const before = cpuStamp();
  await receiving;
  const endNs = nowNs();
  const after = cpuStamp();
  return { endNs, cpu: { before, after }, digest: createHash('sha256').update(received).digest('hex') };
}

/** @param {{ transport: string }} parameters */
async function serveRequests({ transport }) {
  const side = await accepted(transport, 'requests');
  side.handle(async (/** @type {Buffer} */ request) => Buffer.from(request));
}

/**
 * Requests one after the other, each of which waits for its reply.
 * @param {{ transport: string, count: number, showsProgress: boolean }} parameters
 * @param {import('../harness/calls.mjs').Answering} answering
 */
async function makeRequests({ transport, count, showsProgress }, { progress }) {
  const side = sides.get(`${transport} requests`);
  const request = Buffer.alloc(REQUEST_BYTES, 7);
  const starts = new BigInt64Array(count);
  const ends = new BigInt64Array(count);
  const startNs = nowNs();
  for (let i = 0; i < count; i++) {
    request.writeUInt32LE(i);
    starts[i] = process.hrtime.bigint();
    const reply = await side.request(request);
    ends[i] = process.hrtime.bigint();
    if (reply.readUInt32LE() !== i) throw new Error(`the reply to request ${i} is not its own`);
    if (showsProgress && i % REQUESTS_PER_PROGRESS === 0) progress(i);
  }
  return { elapsedNs: nowNs() - startNs, ...latencies(starts, ends) };
}

/**
 * @param {string} transport
 * @param {string} purpose
 */
async function accepted(transport, purpose) {
  const key = `${transport} ${purpose}`;
  if (!sides.has(key)) sides.set(key, await servers.get(key)?.accepted);
  return sides.get(key);
}

async function close() {
  for (const side of sides.values()) await side.close();
  for (const serving of servers.values()) await serving.close();
}
