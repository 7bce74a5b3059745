import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { seedOf } from '../faults/support.js';

const MAIN = fileURLToPath(new URL('main.mjs', import.meta.url));
const MUTATIONS = 1_000_000;

test('a million changes by a hostile peer break nothing but what it has a part in', async () => {
  const seed = seedOf('hostile');
  const child = spawn(process.execPath, [MAIN, '--mutations', `${MUTATIONS}`, '--seed', `${seed}`]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code, output).toBe(0);
  expect(output).toMatch(/\d+ echoes, all right/);
});
