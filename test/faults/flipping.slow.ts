import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
/** The last one is what a publisher can say of a subscription. */
const BROKEN = ['ERR_SHMLOOP_PROTOCOL', 'ECONNRESET', 'ERR_SHMLOOP_EXPELLED'];
/** `SHMLOOP_WAYS=consume` shows what the other ways are spared. */
const WAYS = process.env.SHMLOOP_WAYS?.split(',') ?? ['message', 'iteration', 'request', 'stream', 'receiveSync'];
const WHATS = ['payload', 'headers', 'control', 'room', 'events'];

/** By whom, in which way it is received, and what changes. */
const CASES = [
  ...WAYS.flatMap((way) => WHATS.map((what) => ['flipper', way, what] as const)),
  ...(['message', 'iteration', 'stream', 'receiveSync'] as const).map(
    (way) => ['region-flipper', way, 'payload'] as const,
  ),
  ['region-flipper', 'regions', 'immutable'] as const,
  ...(['payload', 'headers', 'positions', 'cursor'] as const).map(
    (what) => ['feed-flipper', 'subscription', what] as const,
  ),
];

test.each(CASES)(
  'against a %s: what is received by %s is the receiver’s own while it is decoded, and the peer changes the %s',
  async (flipper, way, what) => {
    const victim = sandbox.start('decoding', { name: 'victim', way });
    await victim.next('bound');
    const died = victim.exited.then(({ signal }) => Promise.reject(new Error(`died of ${signal}: ${victim.errors}`)));
    const attacker = sandbox.start(flipper, { name: 'victim', way, what, milliseconds: 400 });
    const { flips } = await Promise.race([attacker.next('report'), died]);
    victim.tell({});
    const { messages, changed, errors } = await victim.next('seen');
    if (process.env.SHMLOOP_VERBOSE) console.log({ flipper, way, what, flips, messages, changed, errors });
    expect(flips).toBeGreaterThanOrEqual(200);
    expect(changed).toBe(0);
    if (what === 'payload' || what === 'immutable') expect(messages).toBeGreaterThan(0);
    expect(errors.filter((code: string) => !BROKEN.includes(code))).toEqual([]);
    // What is left to do on the thread pool ends, too.
    victim.kill('SIGTERM');
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGTERM' });
  },
);
