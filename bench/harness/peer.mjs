/**
 * One side of a measurement: a process of its own, or a worker of the other side's.
 *
 *   node peer.mjs TRANSPORT ROLE CONNECTIONS DIRECTORY      ROLE: server | client
 */
import { isMainThread } from 'node:worker_threads';
import * as blocking from '../cases/blocking.mjs';
import * as idle from '../cases/idle.mjs';
import * as oneway from '../cases/oneway.mjs';
import * as rtt from '../cases/rtt.mjs';
import { loadTransport, TRANSPORTS } from '../transports/index.mjs';
import { answerCalls, forwardCalls } from './calls.mjs';

const parameters = process.argv.slice(2);
const [transportName, role, connections, directory] = parameters;
const transport = TRANSPORTS[transportName];
const module = /** @type {any} */ (await loadTransport(transportName));
const setting = { connections: Number(connections), directory, options: transport.options };

/** @type {Record<string, any>} */
const cases = transport.isBlocking ? blocking : { rtt, oneway, idle };

/** @type {import('../transports/index.mjs').Serving | undefined} */
let serving;
/** @type {Promise<any[]>} */
let endpoints = Promise.resolve([]);
/** @type {((batch: any, answering: import('./calls.mjs').Answering) => Promise<any>) | undefined} */
let runBatch;

if (isMainThread && transport.sides === 'threads') {
  const worker = module.startWorker(
    new URL(import.meta.url),
    [transportName, 'server', connections, directory],
    Number(connections),
  );
  forwardCalls(worker);
}

answerCalls({
  /** The server answers its address; the client is given it. */
  async open({ address }) {
    if (role === 'client') {
      endpoints = Promise.resolve(await module.connect(address, setting));
      return undefined;
    }
    serving = await module.serve(setting);
    endpoints = /** @type {import('../transports/index.mjs').Serving} */ (serving).accepted;
    return serving?.address;
  },

  /** All batches of a process are of one case, so that one set of listeners serves them. */
  async run({ name, options, batch }, answering) {
    const ends = await endpoints;
    runBatch ??= cases[name][role](ends, options);
    if (!transport.isBlocking) return runBatch?.(batch, answering);
    ends[0].wake();
    try {
      return await runBatch?.(batch, answering);
    } finally {
      ends[0].rest();
    }
  },

  async close() {
    await Promise.all((await endpoints).map((endpoint) => endpoint.close()));
    await serving?.close();
  },
});
