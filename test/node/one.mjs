// Runs one test of Node's, as Node's own runner does: by the flags and the environment that it asks for.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const MAX_OUTPUT = 20_000;

/** @returns {Promise<{file: string, status: 'pass' | 'fail' | 'time-out', output: string}>} */
export function runOne(root, file, { preload, environment, slot, seconds }) {
  const source = readFileSync(join(root, 'test', file), 'utf8');
  const env = {
    ...process.env,
    ...environment,
    NODE_OPTIONS: `--import=${preload}`,
    TRACE_TEST: basename(file),
    TEST_THREAD_ID: String(slot),
    TEST_SERIAL_ID: String(slot),
    ...Object.fromEntries(declared(source, 'Env').map((pair) => pair.split('='))),
  };
  for (const name of ['NODE_TEST_CONTEXT', 'NODE_CHANNEL_FD', 'NODE_UNIQUE_ID']) delete env[name];
  if (file.startsWith('parallel/')) env.TEST_PARALLEL = '1';
  const argv = [...declared(source, 'Flags'), join(root, 'test', file)];
  // A group of its own: whatever a test leaves behind goes with it.
  const child = spawn(process.execPath, argv, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  return outcome(file, child, seconds);
}

function outcome(file, child, seconds) {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => (output = (output + text).slice(-MAX_OUTPUT)));
  }
  return new Promise((resolve) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child.pid);
    }, seconds * 1000);
    child.on('exit', (code) => {
      clearTimeout(timer);
      killGroup(child.pid);
      resolve({ file, status: isLate ? 'time-out' : code === 0 ? 'pass' : 'fail', output });
    });
  });
}

function declared(source, what) {
  const match = new RegExp(`^// ${what}: (.*)$`, 'm').exec(source);
  return match === null ? [] : match[1].trim().split(/\s+/);
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
