import { constants } from 'node:buffer';
import { invalid, ShmloopError } from '../errors.js';
import { type Descriptor, native } from '../native.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/**
 * Shared memory with a name in /dev/shm, for programs in other languages.
 *
 * It cannot be sealed: whoever may open it may truncate it and kill its users
 * with SIGBUS. So it is mode 0600, opened only when this uid owns it, and never
 * crosses a link. Its pages are reserved when it is made.
 */
export class NamedRegion {
  private constructor(
    /** Its name, without the slash. */
    readonly name: string,
    /** The mapped bytes; any process of this uid may change them at any time. */
    readonly memory: ArrayBuffer,
  ) {}

  /**
   * @param name letters, digits, `.`, `_`, `-`; no slash
   * @param length bytes, from 1 to Node's `buffer.constants.MAX_LENGTH`
   * @throws EEXIST when there is one; ENOSPC when /dev/shm is full; ERR_SHMLOOP_INVALID_NAME;
   *   ERR_SHMLOOP_INVALID_ARGUMENT
   */
  static create(name: string, length: number): NamedRegion {
    const path = pathOf(name);
    if (!Number.isSafeInteger(length) || length < 1 || length > constants.MAX_LENGTH) {
      throw invalid`length is from 1 to ${constants.MAX_LENGTH}, not ${length}`;
    }
    const descriptor = native().createNamedMemory(path, length);
    try {
      return new NamedRegion(name, mapWhole(descriptor, length));
    } catch (error) {
      native().unlinkNamedMemory(path);
      throw error;
    }
  }

  /**
   * @throws ENOENT when there is none; ERR_SHMLOOP_PEER_REJECTED when another user owns it;
   *   ERR_SHMLOOP_REGION when it is empty, or larger than Node can map
   */
  static open(name: string): NamedRegion {
    const descriptor = native().openNamedMemory(pathOf(name));
    const [size, , , uid] = native().inspectMemory(descriptor);
    if (uid !== process.geteuid?.()) {
      descriptor.close();
      throw new ShmloopError('ERR_SHMLOOP_PEER_REJECTED', `${name} belongs to uid ${uid}`);
    }
    if (size < 1 || size > constants.MAX_LENGTH) {
      descriptor.close();
      throw new ShmloopError('ERR_SHMLOOP_REGION', `${name} has ${size} bytes; at most ${constants.MAX_LENGTH}`);
    }
    return new NamedRegion(name, mapWhole(descriptor, size));
  }

  /** Removes the name; mappings stay. @throws ENOENT when it is gone */
  unlink(): void {
    native().unlinkNamedMemory(pathOf(this.name));
  }

  /** Lets go of the shared pages; views stay valid, private and zero. */
  close(): void {
    native().retireMapping(this.memory);
  }
}

function pathOf(name: string): string {
  if (typeof name !== 'string' || !NAME.test(name))
    throw new ShmloopError(
      'ERR_SHMLOOP_INVALID_NAME',
      `not a name for a region: ${typeof name === 'string' ? name : typeof name}`,
    );
  return `/${name}`;
}

function mapWhole(descriptor: Descriptor, length: number): ArrayBuffer {
  try {
    const memory = native().mapMemory(descriptor, length);
    native().showMapping(memory);
    return memory;
  } finally {
    descriptor.close();
  }
}
