// Blocking calls: a worker receives and sends without an event loop, as a thread in C would.
// node examples/worker-blocking.mjs
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { bind, connect } from 'shmloop';

const COUNT = 50_000;

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const name = `example-${process.pid}`;
  const server = await bind(name);
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: name });
  const exited = once(worker, 'exit');
  const [channel] = await once(server, 'channel');
  await server.close();
  const sum = add(channel);
  for (let number = 1; number <= COUNT; number++) {
    if (!channel.send(String(number))) await channel.drained();
  }
  await channel.end();
  console.log(`the squares of 1 to ${COUNT} add up to ${await sum}`);
  await exited;
}

async function add(channel) {
  let sum = 0n;
  for await (const square of channel) sum += BigInt(square.toString());
  return sum;
}

async function work(name) {
  const channel = await connect(name, { allowHalfOpen: true });
  for (;;) {
    // Null: the other end has ended, and all that it sent was taken.
    const number = channel.receiveSync(10_000);
    if (number === null) break;
    channel.sendSync(String(BigInt(number.toString()) ** 2n), 10_000);
  }
  await channel.end();
}
