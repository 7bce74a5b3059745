/** Compiles and runs the programs of ../limits: the machine's own limit. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('../limits', import.meta.url));
const CACHE = fileURLToPath(new URL('../../build/bench', import.meta.url));
const COMPILER = process.env.CC ?? 'cc';
/** More than the program allows itself for its own waits. */
const GRACE_MS = 15_000;

const run = promisify(execFile);

/**
 * The compiled program; built again whenever its sources or compiler changed.
 * @returns {Promise<string>} its path
 */
export async function compileLimits() {
  const files = readdirSync(SOURCES)
    .sort()
    .map((file) => join(SOURCES, file));
  const hash = createHash('sha256').update(COMPILER);
  for (const file of files) hash.update(readFileSync(file));
  const binary = join(CACHE, `limits-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(binary)) return binary;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${binary}.${process.pid}`;
  try {
    await run(COMPILER, ['-O2', '-o', unfinished, ...files.filter((file) => file.endsWith('.c'))]);
  } catch (error) {
    const why = /** @type {{ code?: string, stderr?: string }} */ (error);
    if (why.code === 'ENOENT')
      throw new Error(`the limit-* transports need a C compiler; ${COMPILER} is not installed`);
    throw new Error(`${COMPILER} cannot compile ${SOURCES}:\n${why.stderr}`);
  }
  renameSync(unfinished, binary);
  return binary;
}

/**
 * @param {readonly (string | number)[]} parameters as in its usage
 * @param {number} expectedMs how long the measurement should take
 * @returns {Promise<import('./measure.mjs').Measurement>}
 */
export async function runLimits(parameters, expectedMs) {
  const binary = await compileLimits();
  const { stdout } = await run(binary, parameters.map(String), {
    timeout: expectedMs + GRACE_MS,
    killSignal: 'SIGKILL',
  });
  const { method, size, count, ...measurement } = JSON.parse(stdout);
  return measurement;
}
