import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** Makes a directory, mode 0700, in which this process and its children find and bind names. */
export function makeRuntimeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'shmloop-test-'));
  process.env.XDG_RUNTIME_DIR = directory;
  return directory;
}

/** Gives every test of the file a runtime directory of its own. @returns where it is */
export function useRuntimeDirectory(): { readonly path: string } {
  const before = process.env.XDG_RUNTIME_DIR;
  const current = { path: '' };
  beforeEach(() => {
    current.path = makeRuntimeDirectory();
  });
  afterEach(() => {
    rmSync(current.path, { recursive: true, force: true });
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });
  return current;
}
