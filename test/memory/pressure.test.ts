import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('fixtures/many-rings.mjs', import.meta.url));

/** A count of V8's that goes below nothing ends the process by a signal, as late as when it exits. */
const run = async (how: string) =>
  Number((await promisify(execFile)(process.execPath, ['--expose-gc', program, how])).stdout);

test.each(['exit', 'retired'])('rings are no pressure on the heap: %s', async (how) => {
  expect(await run(how)).toBeLessThan(3);
});

test.each(['lent', 'moved', 'terminated'])('what V8 counts for rings is right when they go: %s', async (how) => {
  expect(await run(how)).toBeGreaterThanOrEqual(0);
});
