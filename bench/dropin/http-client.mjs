/** An HTTP client as anybody writes one, which keeps its connections: what it does with http-server.mjs, it times. */
import http from 'node:http';

const HOST = '127.0.0.1';

const methods = { open, get };
/** @type {http.RequestOptions} */
let options;
/** Requests under way at a time, each on a connection of its own. */
let connections = 1;

process.on('message', async ({ id, method, parameters }) => {
  process.send({ id, event: 'result', value: await methods[method](parameters) });
});
process.once('disconnect', () => process.exit());

/** @param {{ port: number, connections: number }} parameters */
function open(parameters) {
  connections = parameters.connections;
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  options = { host: HOST, port: parameters.port, agent, path: '/' };
}

/** @param {{ count: number, size: number }} batch */
async function get({ count, size }) {
  const latencies = new Float64Array(count);
  const start = process.hrtime.bigint();
  let next = 0;
  const getSome = async () => {
    while (next < count) {
      const i = next++;
      const sent = process.hrtime.bigint();
      const bytes = await request();
      latencies[i] = Number(process.hrtime.bigint() - sent);
      if (bytes !== size) throw new Error(`a response of ${bytes} bytes`);
    }
  };
  await Promise.all(Array.from({ length: connections }, getSome));
  return { elapsedNs: Number(process.hrtime.bigint() - start), ...percentiles(latencies) };
}

/** @returns {Promise<number>} bytes of the response */
function request() {
  return new Promise((resolve, reject) => {
    const onResponse = (/** @type {http.IncomingMessage} */ response) => {
      let bytes = 0;
      response.on('data', (chunk) => {
        bytes += chunk.length;
      });
      response.on('end', () => resolve(bytes));
    };
    http.get(options, onResponse).on('error', reject);
  });
}

/** @param {Float64Array} latencies nanoseconds */
function percentiles(latencies) {
  latencies.sort();
  const at = (/** @type {number} */ fraction) => latencies[Math.floor(latencies.length * fraction)] / 1e3;
  return { p50_us: at(0.5), p99_us: at(0.99) };
}
