/** Loopback TCP by `node:net`, without Nagle's delay: what the others are compared with. */
import { CorkedEndpoint, dial, listen, SocketEndpoint } from './net.mjs';

const HOST = '127.0.0.1';

/** @param {import('./index.mjs').Setting} setting */
export async function serve({ connections, options }) {
  const { server, accepted } = await listen({ host: HOST, port: 0 }, connections, endpointClass(options));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { address: port, accepted, close: () => server.close() };
}

/**
 * @param {number} port
 * @param {import('./index.mjs').Setting} setting
 */
export function connect(port, { connections, options }) {
  return dial({ host: HOST, port }, connections, endpointClass(options));
}

/** @param {{ corks: boolean }} options */
function endpointClass({ corks }) {
  return corks ? CorkedEndpoint : SocketEndpoint;
}
