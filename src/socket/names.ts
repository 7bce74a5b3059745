import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { codeOf, invalid, ShmloopError } from '../errors.js';
import { lstatSync, mkdirSync, realpathSync } from '../fs.js';
import { native } from '../native.js';

/** By the group, or by others. */
const WRITABLE = 0o022;
const STICKY = 0o1000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Where a name is bound: a file in the runtime directory, `$XDG_RUNTIME_DIR/shmloop`, or
 * `shmloop-<uid>` in the directory for temporary files; or in a directory that is given.
 * @param owners to one of whom a directory that is given belongs
 * @throws ERR_SHMLOOP_UNSUPPORTED; ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_INVALID_ARGUMENT;
 *   ERR_SHMLOOP_RUNTIME_DIRECTORY when the directory is not this user's alone, or, if given, others may change it
 */
export function pathOfName(name: string, directory?: string, owners: readonly number[] = []): string {
  checkName(name);
  return join(directory === undefined ? runtimeDirectory() : verified(directory, owners), name);
}

/** @throws ERR_SHMLOOP_UNSUPPORTED; ERR_SHMLOOP_INVALID_NAME */
export function checkName(name: string): void {
  // First of all: on other platforms nothing here has a meaning.
  native();
  if (typeof name === 'string' && NAME.test(name)) return;
  const given = typeof name === 'string' ? name : typeof name;
  throw new ShmloopError(
    'ERR_SHMLOOP_INVALID_NAME',
    `a name is 1 to 64 letters, digits, '.', '_' and '-', and starts with a letter or a digit: ${given}`,
  );
}

/** The runtime directory, made if need be, and verified every time: its owner may change it. */
function runtimeDirectory(): string {
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

/**
 * A directory that others may enter: verified every time, with all that are above it. Whoever may write to one of those
 * could put another in its place; in a sticky one, as /tmp is, only what is theirs.
 */
function verified(directory: string, owners: readonly number[]): string {
  if (typeof directory !== 'string' || !isAbsolute(directory)) throw invalid('directory is an absolute path');
  const path = resolve(directory);
  try {
    if (!lstatSync(path).isDirectory()) throw unusable(path, 'it is not a directory');
    const real = realpathSync(path);
    const { uid, mode } = lstatSync(real);
    if (!owners.includes(uid)) throw unusable(real, `it belongs to uid ${uid}`);
    if ((mode & WRITABLE) !== 0) throw unusable(real, 'others may write to it');
    for (let above = dirname(real); ; above = dirname(above)) {
      if (!isSafeAbove(above, owners)) throw unusable(real, `others may change ${above}`);
      if (above === dirname(above)) return real;
    }
  } catch (error) {
    throw error instanceof ShmloopError ? error : unusable(path, (error as Error).message);
  }
}

function isSafeAbove(directory: string, owners: readonly number[]): boolean {
  const { uid, mode } = lstatSync(directory);
  return (uid === 0 || owners.includes(uid)) && ((mode & WRITABLE) === 0 || (mode & STICKY) !== 0);
}

function unusable(directory: string, why: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_RUNTIME_DIRECTORY', `${directory} cannot be used: ${why}`);
}
