import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ActedProgram, program } from './programs.js';
import { type Outcome, Stage } from './stage.js';
import { TRANSPORTS, type Transport } from './support.js';

/** As many runs of a program over TCP, at most, tell what TCP may show. */
const TCP_RUNS = 6;
const RUNS = 60;

let stages: Record<Transport, Stage>;
beforeEach(() => {
  stages = { shm: new Stage('shm'), tcp: new Stage('tcp') };
});
afterEach(async () => {
  await Promise.all(TRANSPORTS.map((transport) => stages[transport].end()));
});

/** Plays it again with other stages where it hangs, so that the next program finds them well. */
async function play(transport: Transport, acted: ActedProgram) {
  try {
    return await stages[transport].play(acted);
  } catch (error) {
    await stages[transport].end();
    stages[transport] = new Stage(transport);
    throw new Error(`over ${transport}`, { cause: error });
  }
}

/**
 * What is to be the same. Where both end at once, the one sees the other's end sooner or later than its own; and how
 * much a stream that nobody reads has taken depends on the pieces it came in.
 */
function observed(acted: ActedProgram, { server, client }: { server: Outcome; client: Outcome }): string {
  if (acted.finish.how === 'both end') for (const { log } of [server, client]) log.sort();
  if (acted.finish.how === 'unread') {
    const unread = acted.finish.by === 'server' ? server : client;
    Object.assign(unread, { bytesRead: 0, readableLength: 0 });
  }
  return JSON.stringify({ server, client });
}

test('a random program of socket calls sees over the drop-in what it may see over TCP', {
  timeout: 120_000,
}, async () => {
  const property = fc.asyncProperty(program, async (acted) => {
    const seen = observed(acted, await play('shm', acted));
    const allowed: string[] = [];
    while (allowed.length < TCP_RUNS && !allowed.includes(seen)) {
      allowed.push(observed(acted, await play('tcp', acted)));
    }
    if (!allowed.includes(seen)) expect(JSON.parse(seen)).toEqual(JSON.parse(allowed[0] as string));
  });
  await fc.assert(property, { numRuns: RUNS, interruptAfterTimeLimit: 20_000, endOnFailure: !process.env.SHRINK });
});
