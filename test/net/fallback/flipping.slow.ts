import { expect } from 'vitest';
import { shared, test } from '../identity/support.js';

const FLIPPING = new URL('fixtures/flipping.mjs', import.meta.url);
const DECODING = { acts: new URL('fixtures/decoding.mjs', import.meta.url).href };
const WAYS = ['data', 'onread', 'iteration'];
const WHATS = ['payload', 'headers', 'control', 'room'];
/** As on TCP: what is written after a reset is EPIPE. */
const RESET = ['ECONNRESET', 'EPIPE'];

test.for(WAYS.flatMap((way) => WHATS.map((what) => [way, what] as const)))(
  'what a socket gives by %s is its reader’s own while it is decoded, and the peer changes the %s of the rings',
  async ([way, what], { start }) => {
    const [peer, victim, honest] = await Promise.all([
      start({ program: FLIPPING, preload: false }),
      start({ config: DECODING }),
      start(),
    ]);
    const other = await victim.call('connect', { port: await honest.call('listen') });
    await victim.call('switched', other);
    await victim.call('decodeFrom', await peer.call('listen'), way);
    const died = victim.exited.then((code) => Promise.reject(new Error(`exited (${code}): ${victim.errors}`)));
    expect(await Promise.race([peer.call('attack', what, 400), died])).toBeGreaterThanOrEqual(200);
    const { messages, changed, errors } = await victim.call('decoded');
    if (process.env.SHMLOOP_VERBOSE) console.log({ way, what, messages, changed, errors });
    expect(changed).toBe(0);
    if (what === 'payload') expect(messages).toBeGreaterThan(0);
    expect(errors.filter((code: string) => !RESET.includes(code))).toEqual([]);
    expect(await victim.call('talk', other)).toEqual(shared(honest.pid));
  },
);
