// Request and reply between two processes: answers out of order, a time-out, an error of the handler.
// node examples/request-reply.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { bind, connect } from 'shmloop';

const [script, role, name = `example-${process.pid}`] = process.argv.slice(1);
if (role === 'server') await serve();
else await ask();

async function serve() {
  const server = await bind(name);
  for await (const channel of server) {
    channel.handle(answer);
    // The example ends with its only client; a server would go on.
    channel.on('close', () => server.close());
  }
}

async function answer(request, { signal }) {
  const { milliseconds, text } = JSON.parse(request);
  if (text === '') throw new RangeError('nothing to say');
  // The signal is aborted when the client gives up.
  await delay(milliseconds, undefined, { signal });
  return text.toUpperCase();
}

async function ask() {
  const exited = once(fork(script, ['server', name]), 'exit');
  const channel = await connect(name, { wait: true });
  const request = async (milliseconds, text, options) => {
    try {
      const reply = await channel.request(JSON.stringify({ milliseconds, text }), options);
      console.log(`reply: ${reply}`);
    } catch (error) {
      console.log(`${error.code}: ${error.message}`);
    }
  };
  await Promise.all([request(60, 'third'), request(30, 'second'), request(0, 'first')]);
  await request(10_000, 'too late', { timeout: 50 });
  await request(0, '');
  await channel.close();
  await exited;
}
