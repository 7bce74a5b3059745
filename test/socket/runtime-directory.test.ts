import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { bind, connect } from '../../src/index.js';
import { useRuntimeDirectory } from '../support/runtime.js';

const runtime = useRuntimeDirectory();
const unusable = expect.objectContaining({ name: 'ShmloopError', code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY' });
const isRoot = process.geteuid?.() === 0;
const temporary: string[] = [];

afterEach(() => {
  for (const path of temporary.splice(0)) rmSync(path, { recursive: true, force: true });
});

function directory(): string {
  return join(runtime.path, 'shmloop');
}

async function expectUnusable(): Promise<void> {
  await expect(bind('name')).rejects.toThrow(unusable);
  await expect(connect('name')).rejects.toThrow(unusable);
  await expect(connect('name', { wait: true })).rejects.toThrow(unusable);
}

test('the runtime directory is made, for its owner alone', async () => {
  const before = process.umask(0);
  try {
    const server = await bind('name');
    expect(statSync(directory()).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory(), 'name')).mode & 0o777).toBe(0o600);
    await server.close();
  } finally {
    process.umask(before);
  }
});

test('without XDG_RUNTIME_DIR it is in the directory for temporary files, by uid', async () => {
  const { TMPDIR, XDG_RUNTIME_DIR } = process.env;
  const place = mkdtempSync(join(tmpdir(), 'shmloop-test-'));
  temporary.push(place);
  try {
    process.env.TMPDIR = place;
    delete process.env.XDG_RUNTIME_DIR;
    const server = await bind('name');
    expect(statSync(join(place, `shmloop-${process.geteuid?.()}`)).mode & 0o777).toBe(0o700);
    await server.close();
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    process.env.XDG_RUNTIME_DIR = XDG_RUNTIME_DIR;
  }
});

test.each([0o701, 0o710, 0o720, 0o755, 0o777, 0o1777])('one of mode %o is refused', async (mode) => {
  mkdirSync(directory());
  chmodSync(directory(), mode);
  await expectUnusable();
});

test('a symbolic link is refused, also to a good directory', async () => {
  const good = join(runtime.path, 'good');
  mkdirSync(good, { mode: 0o700 });
  symlinkSync(good, directory());
  await expectUnusable();
});

test('a file is refused', async () => {
  writeFileSync(directory(), '');
  await expectUnusable();
});

test.skipIf(!isRoot)('one of another user is refused', async () => {
  mkdirSync(directory(), { mode: 0o700 });
  chownSync(directory(), 12_345, 12_345);
  await expectUnusable();
});

test('one whose parent is not there is refused', async () => {
  process.env.XDG_RUNTIME_DIR = join(runtime.path, 'nowhere');
  await expectUnusable();
});

test('it is checked every time, not once', async () => {
  const server = await bind('name');
  chmodSync(directory(), 0o755);
  await expect(connect('name')).rejects.toThrow(unusable);
  chmodSync(directory(), 0o700);
  await (await connect('name')).close();
  await server.close();
});

test('a path too long for a socket is a system error', async () => {
  const long = join(runtime.path, 'x'.repeat(100));
  mkdirSync(long);
  process.env.XDG_RUNTIME_DIR = long;
  await expect(bind('name')).rejects.toMatchObject({ code: 'ENAMETOOLONG', syscall: expect.any(String) });
});

test('a file in a name’s place that is no socket is not taken for a dead server', async () => {
  mkdirSync(directory(), { mode: 0o700 });
  mkdirSync(join(directory(), 'name'));
  await expect(bind('name')).rejects.toThrow();
  expect(statSync(join(directory(), 'name')).isDirectory()).toBe(true);
});
