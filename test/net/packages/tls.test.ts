import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Tools, usePrograms } from '../../support/program.js';
import { useCertificates } from './certificates.js';

const start = usePrograms();
const certificates = useCertificates();

interface Args {
  key: string;
  cert: string;
}

/** Runs both ends of TLS in one process. */
async function play<T>(work: (tools: Tools<Args>) => T | Promise<T>, isPreloaded: boolean): Promise<T> {
  const file = (name: string) => readFileSync(join(certificates.CERTIFICATES, name), 'utf8');
  const args = { key: file('server.key'), cert: file('server.pem') };
  return (await start(work, { args, isPreloaded })).result;
}

describe.each([false, true])('node:tls, with the drop-in: %s,', (isPreloaded) => {
  test('sends what was written when the write before it is done, and destroys the connection', async () => {
    const received = await play(async ({ tls, once, args }) => {
      const server = tls.createServer(args, (socket) => {
        socket.write('a', () => {
          socket.write('b', () => socket.destroy());
          socket.write('c');
        });
      });
      await once(server.listen(0), 'listening');
      const client = tls.connect((server.address() as AddressInfo).port, { rejectUnauthorized: false });
      let received = '';
      client.on('data', (chunk) => {
        received += chunk;
      });
      await once(client, 'close');
      server.close();
      return received;
    }, isPreloaded);
    expect(received).toBe('abc');
  });

  test('ends well when the server ends at once, before it knows that the client has switched', async () => {
    const outcomes = await play(async ({ tls, once, args }) => {
      const server = tls.createServer(args, (socket) => socket.resume().end('x'));
      await once(server.listen(0), 'listening');
      const { port } = server.address() as AddressInfo;
      const outcomes: unknown[] = [];
      for (let i = 0; i < 40; i++) {
        const client = tls.connect(port, { rejectUnauthorized: false });
        client.on('data', () => client.end());
        const [hadError] = await once(client, 'close').catch((error) => [error.code]);
        outcomes.push(hadError);
      }
      server.close();
      return outcomes;
    }, isPreloaded);
    expect(outcomes).toEqual(Array(40).fill(false));
  });
});
