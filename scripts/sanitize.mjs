// Builds the addon with sanitizers, apart from the one in build/, and stresses it.
// Node itself is not instrumented: the sanitizer's library is loaded before it.
// With AddressSanitizer the hostile peer is played as well.
// `node scripts/sanitize.mjs [address|thread …]`
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SECONDS = '10';
const MUTATIONS = '1000000';
const CASES = {
  address: {
    flags: '-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all',
    library: 'libasan.so',
    isHostile: true,
    // Node frees nothing at its end, so leaks cannot be told from that. What is freed is kept for a while, but not so much
    // of it that the hostile peer's play would take it for growth.
    env: { ASAN_OPTIONS: 'detect_leaks=0:exitcode=99:quarantine_size_mb=64', UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  thread: {
    flags: '-fsanitize=thread',
    library: 'libtsan.so',
    // Sees the addon's own state shared by threads. Not the bytes of a ring: each side has them
    // at its own address, and JavaScript's Atomics order them. test/models is for those.
    env: { TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:exitcode=99' },
    // Its shadow memory does not fit where newer kernels put a program.
    prefix: ['setarch', '-R'],
  },
};

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CASES);
const failed = chosen.filter((name) => !passes(name, CASES[name]));
if (failed.length > 0) {
  console.error(`sanitizers failed: ${failed.join(', ')}`);
  process.exit(1);
}

function passes(name, { flags, library, env, prefix = [], isHostile = false }) {
  const folder = mkdtempSync(join(tmpdir(), `shmloop-${name}-`));
  try {
    console.log(`${name}: building`);
    const addon = build(folder, flags);
    const preload = execFileSync(process.env.CXX ?? 'g++', [`-print-file-name=${library}`], {
      encoding: 'utf8',
    }).trim();
    const [file, ...args] = [...prefix, process.execPath, resolve('test/sanitize/stress.mjs'), addon, SECONDS];
    const childEnv = { ...process.env, ...env, LD_PRELOAD: preload };
    const play = (...line) => spawnSync(file, line, { env: childEnv, stdio: 'inherit', timeout: 180_000 });
    let { status, signal } = play(...args);
    if (status === 0 && isHostile) ({ status, signal } = play(...prefix.slice(1), ...hostileIn(folder)));
    console.log(`${name}: ${status === 0 ? 'clean' : `failed (${signal ?? status})`}`);
    return status === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The hostile peer, played against the library with that addon. */
function hostileIn(folder) {
  for (const name of ['dist', 'test/hostile', 'test/faults/fixtures']) {
    cpSync(name, join(folder, name), { recursive: true });
  }
  return [join(folder, 'test/hostile/main.mjs'), '--mutations', MUTATIONS];
}

function build(folder, flags) {
  for (const name of ['native', 'binding.gyp', 'package.json']) cpSync(name, join(folder, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const env = {
    ...process.env,
    npm_config_build_from_source: 'true',
    SHMLOOP_CFLAGS: `${flags} -g -fno-omit-frame-pointer`,
    SHMLOOP_LDFLAGS: flags,
  };
  const { status, stdout } = spawnSync(process.execPath, [resolve('scripts/install.mjs')], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`the addon does not build with ${flags}:\n${stdout}`);
  return join(folder, 'build/Release/shmloop.node');
}
