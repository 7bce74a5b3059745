import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();

const QUOTES = 50_000;

test('the example of a feed gives each reader all quotes, or counts them', async () => {
  const script = fileURLToPath(new URL('../../examples/market-feed.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const readers = [...stdout.matchAll(/^(slow reader|reader) \d+: (\d+) quotes, (\d+) lost; /gm)];
  expect(readers.map(([, role]) => role).sort()).toEqual(['reader', 'reader', 'slow reader']);
  for (const [, , taken, lost] of readers) expect(Number(taken) + Number(lost)).toBe(QUOTES);
});
