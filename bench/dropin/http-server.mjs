/** An HTTP server as anybody writes one. */
import http from 'node:http';

const HOST = '127.0.0.1';
/** Longer than a client is idle while another one is measured. */
const KEEP_ALIVE_MS = 60_000;

const methods = { listen };

process.on('message', async ({ id, method, parameters }) => {
  process.send({ id, event: 'result', value: await methods[method](parameters) });
});
process.once('disconnect', () => process.exit());

/**
 * @param {{ size: number }} parameters bytes of each response
 * @returns {Promise<{ http: number }>} its port
 */
function listen({ size }) {
  const body = 'x'.repeat(size);
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (_request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(body);
  });
  return new Promise((resolve) => server.listen(0, HOST, () => resolve({ http: server.address().port })));
}
