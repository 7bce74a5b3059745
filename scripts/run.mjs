// Sets up whatever is missing or out of date, then hands over: the way in for a fresh clone.
// `node scripts/run.mjs start|test|bench|hostile|build [arguments]`
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAMS = {
  start: ['bench/demo.mjs'],
  test: ['node_modules/vitest/vitest.mjs', 'run'],
  bench: ['bench/main.mjs'],
  node: ['test/node/main.mjs'],
  hostile: ['test/hostile/main.mjs'],
  build: null,
};
const OLDEST_NODE = [20, 19];
const running = new Set();

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const [command, ...args] = process.argv.slice(2);
if (!Object.hasOwn(PROGRAMS, command ?? '')) fail(`usage: run.mjs ${Object.keys(PROGRAMS).join('|')} [arguments]`);
checkHost();
preferOwnHeaders();
await setUp();
if (PROGRAMS[command] !== null) handOver([...PROGRAMS[command], ...args]);

function checkHost() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    fail(`Node ${OLDEST_NODE.join('.')} or later is needed; this is ${process.versions.node}`);
  }
  if (process.platform !== 'linux') fail(`shared memory is for Linux; this is ${process.platform}`);
}

/** The headers that came with this Node are right for it, and save node-gyp a download. */
function preferOwnHeaders() {
  const prefix = dirname(dirname(process.execPath));
  if (existsSync(join(prefix, 'include/node/node.h'))) process.env.npm_config_nodedir = prefix;
}

async function setUp() {
  const started = performance.now();
  const steps = await Promise.all([packages()]);
  steps.push(...(await Promise.all([addon(), javascript(), competitors(), interop(), packagesOfTests()])));
  if (steps.includes(true)) say(`ready in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function packages() {
  // The addon has its own step, which runs beside the compiler's.
  return step('installing packages', 'node_modules/.stamp', ['package-lock.json'], () =>
    run('npm', ['ci', '--ignore-scripts']),
  );
}

function addon() {
  const env = { ...process.env, npm_config_build_from_source: 'true' };
  return step('building the addon', 'build/.stamp', ['native', 'binding.gyp'], () =>
    run(process.execPath, ['scripts/install.mjs'], { env }),
  );
}

function javascript() {
  return step('compiling src/', 'dist/.stamp', ['src', 'tsconfig.json', 'scripts/bundle.mjs'], async () => {
    await run(process.execPath, ['node_modules/typescript/bin/tsc']);
    for (const name of readdirSync('dist', { recursive: true })) {
      const source = join('src', name.replace(/(\.d\.ts|\.js)$/, '.ts'));
      if (source.endsWith('.ts') && !existsSync(source)) rmSync(join('dist', name));
    }
    await run(process.execPath, ['scripts/bundle.mjs']);
  });
}

function competitors() {
  if (command !== 'bench' || !existsSync('bench/package-lock.json')) return false;
  return step('installing the competitors', 'bench/node_modules/.stamp', ['bench/package-lock.json'], () =>
    run('npm', ['ci', '--prefix', 'bench']),
  );
}

/**
 * Another library's mapping of the same memory, to test against. It is built for one version of
 * Node's ABI, and with some it does not build at all: tried once, then its tests are skipped.
 */
function interop() {
  if (command !== 'test' || !existsSync('test/interop/package-lock.json')) return false;
  const stamp = `test/interop/node_modules/.stamp-${process.versions.modules}`;
  const env = { ...process.env, npm_config_node_gyp: resolve('node_modules/node-gyp/bin/node-gyp.js') };
  return step('installing packages to test against', stamp, ['test/interop/package-lock.json'], () =>
    run('npm', ['ci', '--prefix', 'test/interop'], { env, optional: true }),
  );
}

/** What the drop-in is tested with: none of it needs a script of its own to be installed. */
function packagesOfTests() {
  if (command !== 'test') return false;
  const inputs = ['test/net/packages/package-lock.json'];
  return step('installing packages to test the drop-in with', 'test/net/packages/node_modules/.stamp', inputs, () =>
    run('npm', ['ci', '--ignore-scripts', '--prefix', 'test/net/packages']),
  );
}

/** @returns whether there was something to do */
async function step(label, stamp, inputs, work) {
  const now = fingerprint(inputs);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return false;
  say(`${label} …`);
  rmSync(stamp, { force: true });
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, now);
  return true;
}

function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(filesIn)) hash.update(`${path}\0`).update(readFileSync(path));
  return hash.digest('hex');
}

function filesIn(path) {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true }).sort();
  return names.map((name) => join(path, name)).filter((file) => statSync(file).isFile());
}

/** Runs a program quietly; ends this one, with its output, when it fails. */
function run(file, argv, { env, optional = false } = {}) {
  return new Promise((done) => {
    const child = spawn(file, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (output += text));
    child.on('error', (error) => fail(`${file}: ${error.message}`));
    child.on('close', (code) => {
      running.delete(child);
      if (code === 0) return done();
      if (!optional) {
        console.error(output.trimEnd());
        fail(`failed: ${[file, ...argv].join(' ')}`);
      }
      const reason = /\berror: .*/i.exec(output)?.[0] ?? `status ${code}`;
      say(`failed, so the tests that need it are skipped: ${reason}`);
      done();
    });
  });
}

function handOver(argv) {
  const child = spawn(process.execPath, argv, { stdio: 'inherit' });
  // A terminal sends its Ctrl-C to the child as well: once is enough.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function say(text) {
  console.error(`shmloop: ${text}`);
}

function fail(text) {
  say(text);
  for (const child of running) child.kill();
  process.exit(1);
}
