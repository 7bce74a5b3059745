import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
const PROTOCOL = ['ERR_SHMLOOP_PROTOCOL'];
/** `SHMLOOP_WAYS=consume` shows what the other ways are spared. */
const WAYS = process.env.SHMLOOP_WAYS?.split(',') ?? ['message', 'iteration', 'request', 'stream', 'receiveSync'];
const WHATS = ['payload', 'headers', 'control', 'room', 'events'];

test.each(WAYS.flatMap((way) => WHATS.map((what) => [way, what] as const)))(
  'what is received by %s is the receiver’s own while it is decoded, and the peer changes the %s',
  async (way, what) => {
    const victim = sandbox.start('decoding', { name: 'victim', way });
    await victim.next('bound');
    const { flips } = await sandbox.run('flipper', { name: 'victim', way, what, milliseconds: 400 });
    victim.tell({});
    const { messages, changed, errors } = await victim.next('seen');
    if (process.env.SHMLOOP_VERBOSE) console.log({ way, what, flips, messages, changed, errors });
    expect(flips).toBeGreaterThanOrEqual(200);
    expect(changed).toBe(0);
    if (what === 'payload') expect(messages).toBeGreaterThan(0);
    expect(errors.filter((code: string) => !PROTOCOL.includes(code) && code !== 'ECONNRESET')).toEqual([]);
    // What is left to do on the thread pool ends, too.
    victim.kill('SIGTERM');
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGTERM' });
  },
);
