// Streams a file to another process, which hashes what arrives and answers with the hash.
// node examples/file-stream.mjs [file]   default: the Node executable
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { bind, connect } from 'shmloop';

const script = process.argv[1];
if (process.argv[2] === 'receiver') await receive(process.argv[3]);
else await send(process.argv[2] ?? process.execPath);

async function send(path) {
  const name = `example-${process.pid}`;
  const exited = once(fork(script, ['receiver', name]), 'exit');
  const channel = await connect(name, { wait: true });
  const stream = channel.stream();
  await pipeline(createReadStream(path), stream);
  const received = await text(stream);
  const sent = await hashOf(createReadStream(path));
  console.log(`${path}\nsent      ${sent}\nreceived  ${received}`);
  if (sent !== received) process.exitCode = 1;
  await exited;
}

async function receive(name) {
  // Half-open: this end answers after the other has ended.
  const server = await bind(name, { allowHalfOpen: true });
  const [channel] = await once(server, 'channel');
  await server.close();
  const stream = channel.stream();
  stream.end(await hashOf(stream));
}

/** `for await` would destroy a duplex stream at its end; `pipeline` leaves it open for the answer. */
async function hashOf(source) {
  const hash = createHash('sha256').setEncoding('hex');
  await pipeline(source, hash);
  return hash.read();
}
