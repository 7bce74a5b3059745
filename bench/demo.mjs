/**
 * `npm start`: two processes exchange real data, over loopback TCP and over
 * shared memory, and a table says what each took.
 */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import cliProgress from 'cli-progress';
import Table from 'cli-table3';
import { describeMachine } from './harness/machine.mjs';
import { killPeers, PeerProcess } from './harness/peer-process.mjs';
import { median, round } from './harness/statistics.mjs';
import { cpuOfSpans } from './harness/usage.mjs';

const PEER = new URL('./demo/peer.mjs', import.meta.url);
const TRANSPORTS = /** @type {const} */ (['tcp', 'shmloop']);
const PURPOSES = /** @type {const} */ (['file', 'requests']);
const PASSES = 5;
/** Both sides are warm before anything counts. */
const WARM_UP_PASSES = 2;
const WARM_UP_REQUESTS = 5_000;
const LARGEST_FILE = 1 << 30;

const HELP = `Usage: npm start -- [options]

Starts a server and a client process. The client sends a file to the server, then
makes requests one after the other; both over loopback TCP and over shmloop.

  --file PATH     the file to send, up to 1 GiB (the running Node executable)
  --requests N    how many requests (200000)
  --json FILE     write the figures to FILE as well
  --help          this text
`;

/** Thrown for a mistake on the command line. */
class UsageError extends Error {}

/**
 * @typedef {object} Row
 * @property {'file' | 'requests'} case
 * @property {string} transport
 * @property {number} seconds
 * @property {number} cpu_seconds
 * @property {number} [bytes]
 * @property {number} [gb_per_s]
 * @property {number} [requests]
 * @property {number} [requests_per_s]
 * @property {number} [p50_us]
 * @property {number} [p99_us]
 */

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, () => {
    killPeers();
    process.exit(130);
  });
}

process.exitCode = await main().catch((error) => {
  killPeers();
  process.stderr.write(
    error instanceof UsageError ? `start: ${error.message}\n\n${HELP}` : `start: ${error.message}\n`,
  );
  return error instanceof UsageError ? 2 : 1;
});

/** @returns {Promise<number>} exit status */
async function main() {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const server = new PeerProcess(PEER, ['server'], 'the server process');
  const client = new PeerProcess(PEER, ['client'], 'the client process');
  say(`server: process ${server.pid}, client: process ${client.pid}`);

  for (const transport of TRANSPORTS) {
    for (const purpose of PURPOSES) {
      const address = await server.call('openServer', { transport, purpose }).result;
      await client.call('openClient', { transport, purpose, address }).result;
    }
  }
  const rows = [
    ...(await sendFile(server, client, options.file)),
    ...(await makeRequests(server, client, options.requests)),
  ];
  await Promise.all([client.call('close').result, server.call('close').result]);
  await Promise.all([client.end(), server.end()]);

  const machine = describeMachine({ options });
  say(`\n${formatTable(rows)}`);
  say('File: from memory into one buffer of the server, 64 KiB at a time (shmloop: `consume`); median of the passes.');
  say('The server checked the SHA-256 of each pass after its clock had stopped.');
  say('Requests: 64 bytes, each waits for its reply. CPU: user and system, both processes.');
  say(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ schema: 1, machine, rows }, null, 2)}\n`);
  }
  return 0;
}

/**
 * @param {PeerProcess} server
 * @param {PeerProcess} client
 * @param {string} path
 * @returns {Promise<Row[]>}
 */
async function sendFile(server, client, path) {
  const { length, digest } = await client.call('readFileOnce', { path }).result;
  const progress = startProgress(`sending ${path} (${(length / 1e6).toFixed(1)} MB)`, PASSES * TRANSPORTS.length);
  /** @type {Record<string, { seconds: number[], cpuSeconds: number[] }>} */
  const taken = Object.fromEntries(TRANSPORTS.map((transport) => [transport, { seconds: [], cpuSeconds: [] }]));
  for (let pass = -WARM_UP_PASSES; pass < PASSES; pass++) {
    for (const transport of TRANSPORTS) {
      const receiving = server.call('receiveFile', { transport, length });
      await receiving.ready;
      const sent = await client.call('sendFile', { transport }).result;
      const received = await receiving.result;
      if (received.digest !== digest)
        throw new Error(`the file arrived damaged over ${transport}: its SHA-256 differs`);
      if (pass < 0) continue;
      taken[transport].seconds.push((received.endNs - sent.startNs) / 1e9);
      taken[transport].cpuSeconds.push(cpuOfSpans([received.cpu, sent.cpu]) / 1e6);
      progress.advance(1);
    }
  }
  progress.stop(
    `${path}: ${(length / 1e6).toFixed(1)} MB, ${PASSES} passes each, SHA-256 ${digest.slice(0, 16)}… right every time`,
  );
  return TRANSPORTS.map((transport) => {
    const seconds = median(taken[transport].seconds);
    return {
      case: 'file',
      transport,
      bytes: length,
      seconds: round(seconds),
      gb_per_s: round(length / seconds / 1e9),
      cpu_seconds: round(median(taken[transport].cpuSeconds)),
    };
  });
}

/**
 * @param {PeerProcess} server
 * @param {PeerProcess} client
 * @param {number} count
 * @returns {Promise<Row[]>}
 */
async function makeRequests(server, client, count) {
  /** @type {Row[]} */
  const rows = [];
  for (const transport of TRANSPORTS) {
    const progress = startProgress(`${count} requests over ${transport}`, count);
    const make = (/** @type {number} */ requests, /** @type {boolean} */ showsProgress) =>
      client.call(
        'makeRequests',
        { transport, count: requests, showsProgress },
        {
          limitMs: 60_000 + requests,
          onProgress: progress.update,
        },
      ).result;
    const cpu = () => Promise.all([client.call('cpu').result, server.call('cpu').result]);

    await server.call('serveRequests', { transport }).result;
    await make(Math.min(count, WARM_UP_REQUESTS), false);
    const before = await cpu();
    const { elapsedNs, p50_us, p99_us } = await make(count, process.stderr.isTTY);
    const after = await cpu();
    const seconds = elapsedNs / 1e9;
    rows.push({
      case: 'requests',
      transport,
      requests: count,
      seconds: round(seconds),
      requests_per_s: round(count / seconds),
      p50_us: round(p50_us),
      p99_us: round(p99_us),
      cpu_seconds: round(cpuOfSpans(before.map((stamp, i) => ({ before: stamp, after: after[i] }))) / 1e6),
    });
    progress.stop(`${count} requests over ${transport}: every reply was the right one`);
  }
  return rows;
}

/** @param {readonly Row[]} rows */
function formatTable(rows) {
  const table = new Table({
    head: ['', 'over', 'time', 'rate', 'p50', 'p99', 'CPU', 'faster than TCP'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const tcp = rows.find((other) => other.case === row.case && other.transport === 'tcp') ?? row;
    const isFile = row.case === 'file';
    table.push([
      isFile ? `file, ${((row.bytes ?? 0) / 1e6).toFixed(1)} MB` : `${row.requests} requests`,
      row.transport,
      formatSeconds(row.seconds),
      isFile ? `${row.gb_per_s?.toFixed(2)} GB/s` : `${Math.round((row.requests_per_s ?? 0) / 1e3)} k/s`,
      row.p50_us === undefined ? '' : `${row.p50_us.toFixed(1)} µs`,
      row.p99_us === undefined ? '' : `${row.p99_us.toFixed(1)} µs`,
      formatSeconds(row.cpu_seconds),
      `${(tcp.seconds / row.seconds).toFixed(1)}×`,
    ]);
  }
  return table.toString();
}

/** @param {number} seconds */
function formatSeconds(seconds) {
  return seconds < 1 ? `${(seconds * 1e3).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

/**
 * A bar on a terminal, and one line when it is done anywhere.
 * @param {string} title
 * @param {number} total
 */
function startProgress(title, total) {
  if (!process.stderr.isTTY) return { advance: () => {}, update: () => {}, stop: say };
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage} %  {title}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
  bar.start(total, 0, { title });
  return {
    advance: (/** @type {number} */ by) => bar.increment(by),
    update: (/** @type {number} */ to) => bar.update(to),
    stop: (/** @type {string} */ line) => {
      bar.stop();
      say(line);
    },
  };
}

/** @param {string} line */
function say(line) {
  process.stdout.write(`${line}\n`);
}

/** @returns {{ file: string, requests: number, json?: string } | undefined} undefined: help was asked for */
function readOptions() {
  const { help, file, requests, json } = parse();
  if (help) return undefined;
  const count = Number(requests);
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`--requests takes a whole number, not ${requests}`);
  if (!existsSync(file) || !statSync(file).isFile()) throw new UsageError(`${file} is not a file`);
  const { size } = statSync(file);
  if (size === 0 || size > LARGEST_FILE)
    throw new UsageError(`${file} has ${size} bytes; from 1 byte to 1 GiB can be sent`);
  return { file, requests: count, json };
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        file: { type: 'string', default: process.execPath },
        requests: { type: 'string', default: '200000' },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
}
