import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

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
  afterEach(() => removeRuntimeDirectory(current.path, before));
  return current;
}

/** Gives the tests of a `describe` one runtime directory, for helpers that live as long. */
export function shareRuntimeDirectory(): void {
  const before = process.env.XDG_RUNTIME_DIR;
  let path: string;
  beforeAll(() => {
    path = makeRuntimeDirectory();
  });
  afterAll(() => removeRuntimeDirectory(path, before));
}

function removeRuntimeDirectory(path: string, before: string | undefined): void {
  rmSync(path, { recursive: true, force: true });
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
}
