import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf, ShmloopError } from '../errors.js';
import { lstatSync, mkdirSync } from '../fs.js';
import { native } from '../native.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Where a name is bound: a file in the runtime directory, `$XDG_RUNTIME_DIR/shmloop`, or
 * `shmloop-<uid>` in the directory for temporary files.
 * @throws ERR_SHMLOOP_UNSUPPORTED; ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_RUNTIME_DIRECTORY when that is not this user's alone
 */
export function pathOfName(name: string): string {
  // First of all: on other platforms nothing here has a meaning.
  native();
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new ShmloopError(
      'ERR_SHMLOOP_INVALID_NAME',
      `a name is 1 to 64 letters, digits, '.', '_' and '-', and starts with a letter or a digit: ${String(name)}`,
    );
  }
  return join(runtimeDirectory(), name);
}

/** The runtime directory, made if need be, and verified every time: its owner may change it. */
export function runtimeDirectory(): string {
  const uid = process.geteuid?.();
  const base = process.env.XDG_RUNTIME_DIR;
  const directory = base ? join(base, 'shmloop') : join(tmpdir(), `shmloop-${uid}`);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw unusable(directory, (error as Error).message);
  }
  const stat = lstatSync(directory);
  if (!stat.isDirectory()) throw unusable(directory, 'it is not a directory');
  if (stat.uid !== uid) throw unusable(directory, `it belongs to uid ${stat.uid}`);
  if ((stat.mode & 0o077) !== 0) throw unusable(directory, 'others may enter it; its mode must be 0700');
  return directory;
}

function unusable(directory: string, why: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_RUNTIME_DIRECTORY', `${directory} cannot be used: ${why}`);
}
