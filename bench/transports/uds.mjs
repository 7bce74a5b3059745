/** AF_UNIX stream sockets by `node:net`. */
import { join } from 'node:path';
import { dial, listen } from './net.mjs';

/** @param {import('./index.mjs').Setting} setting */
export async function serve({ connections, directory }) {
  const path = join(directory, `${process.pid}.socket`);
  const { server, accepted } = await listen({ path }, connections);
  return { address: path, accepted, close: () => server.close() };
}

/**
 * @param {string} path
 * @param {import('./index.mjs').Setting} setting
 */
export function connect(path, { connections }) {
  return dial({ path }, connections);
}
