// One server, many clients: processes with several channels each, which share one link a process.
// node examples/many-clients.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { bind, connect } from 'shmloop';

const CLIENTS = 8;
const CHANNELS = 5;
const REQUESTS = 200;

const [script, role, name = `example-${process.pid}`] = process.argv.slice(1);
if (role === 'client') await ask();
else await serve();

async function serve() {
  const server = await bind(name);
  const answered = new Map();
  let channels = 0;
  server.on('channel', (channel) => {
    channels++;
    channel.handle((request) => {
      const { pid } = channel.peer;
      answered.set(pid, (answered.get(pid) ?? 0) + 1);
      return request;
    });
  });
  const clients = Array.from({ length: CLIENTS }, () => fork(script, ['client', name]));
  const codes = await Promise.all(clients.map((client) => once(client, 'exit')));
  await server.close();
  for (const [pid, requests] of answered) console.log(`process ${pid}: ${requests} requests`);
  console.log(`${channels} channels of ${answered.size} processes`);
  process.exitCode = codes.every(([code]) => code === 0) ? 0 : 1;
}

async function ask() {
  const channels = await Promise.all(Array.from({ length: CHANNELS }, () => connect(name)));
  const requests = channels.flatMap((channel) =>
    Array.from({ length: REQUESTS }, async (_, number) => {
      const reply = await channel.request(`request ${number}`);
      if (reply.toString() !== `request ${number}`) throw new Error(`a wrong reply: ${reply}`);
    }),
  );
  await Promise.all(requests);
  await Promise.all(channels.map((channel) => channel.close()));
}
