// A hostile peer, played against everything that reads what a peer can write, beside a channel that must notice nothing.
// `npm run hostile -- [--mutations 10000000] [--seed S] [--target NAME] [--round R]`
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const values = optionsOrExit();
const again = `npm run hostile -- --seed ${values.seed}`;
const directory = mkdtempSync(join(tmpdir(), 'shmloop-hostile-'));
console.log(`seed ${values.seed}: ${again} --mutations ${values.mutations}`);

// The victim is a process of its own: a crash is seen, and said what it was at.
const victim = spawn(
  process.execPath,
  [...process.execArgv, '--expose-gc', fileURLToPath(new URL('victim.mjs', import.meta.url)), JSON.stringify(values)],
  { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, XDG_RUNTIME_DIR: directory } },
);
let at = 'the start';
victim.on('message', (message) => {
  at = message;
});
victim.on('exit', (code, signal) => {
  rmSync(directory, { recursive: true, force: true });
  if (code === 0) return;
  console.error(`the victim ended with ${signal ?? code} at or after ${at}; seed ${values.seed}`);
  process.exitCode = 1;
});

function optionsOrExit() {
  try {
    const { values } = parseArgs({
      options: {
        mutations: { type: 'string', default: '10000000' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        target: { type: 'string' },
        round: { type: 'string' },
      },
    });
    for (const name of ['mutations', 'seed', 'round']) {
      if (values[name] !== undefined && !/^\d+$/.test(values[name])) throw new Error(`--${name} is not a number`);
    }
    return values;
  } catch (error) {
    console.error(`hostile: ${error.message}`);
    process.exit(2);
  }
}
