import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('fixtures/moved.mjs', import.meta.url));
const flags = 'transfer' in ArrayBuffer.prototype ? [] : ['--harmony-rab-gsab-transfer'];

test('memory that was moved to another thread outlives the one that mapped it', () => {
  const said = execFileSync(process.execPath, [...flags, PROGRAM], { encoding: 'utf8' });
  expect(said).toBe('exit 8192 -1\n'.repeat(2) + 'terminate 8192 -1\n'.repeat(2));
});
