// One-way pipes: three processes write log lines, one collects them. Each pipe has a single ring.
// node examples/log-pipe.mjs
import { fork } from 'node:child_process';
import { bind, connect } from 'shmloop';

const WRITERS = 3;
const LINES = 10_000;

const [script, role, name = `example-${process.pid}`] = process.argv.slice(1);
if (role === 'writer') await write();
else await collect();

async function write() {
  const pipe = await connect(name);
  for (let line = 1; line <= LINES; line++) {
    // False: the ring is full. The message is kept; the next one waits until there is room.
    if (!pipe.send(`${process.pid} line ${line}`)) await pipe.drained();
  }
  await pipe.end();
}

async function collect() {
  const server = await bind(name, { direction: 'receive' });
  for (let i = 0; i < WRITERS; i++) fork(script, ['writer', name]);
  const pipes = [];
  for await (const pipe of server) {
    pipes.push(read(pipe));
    if (pipes.length === WRITERS) break;
  }
  await Promise.all(pipes);
  await server.close();
}

async function read(pipe) {
  let lines = 0;
  let last = '';
  for await (const line of pipe) {
    lines++;
    last = line.toString();
  }
  console.log(`process ${pipe.peer.pid}: ${lines} lines, the last one: "${last}"`);
  if (lines !== LINES) process.exitCode = 1;
}
