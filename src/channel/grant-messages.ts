import { constants } from 'node:buffer';
import { ShmloopError } from '../errors.js';
import { PAGE } from '../layout.js';
import type { GrantMessage } from '../link/index.js';
import type { Sharing } from '../memory/index.js';
import type { Descriptor } from '../native.js';

/** What is said of memory that is passed, in the text of its message. */
export interface Passed {
  /** The grant, as its owner numbers it on this channel. */
  readonly id: number;
  /** Bytes of the whole region. */
  readonly size: number;
  readonly offset: number;
  readonly length: number;
  readonly sharing: Sharing;
}

const PASSED = /^(\d{1,10}) (\d{1,16}) (\d{1,16}) (\d{1,16}) (read|write|immutable)$/;
const MAX_ID = 2 ** 32 - 1;

export function passedText({ id, size, offset, length, sharing }: Passed): string {
  return `${id} ${size} ${offset} ${length} ${sharing}`;
}

/** Reads and checks what a peer says of the memory that it passes. @throws ERR_SHMLOOP_PROTOCOL */
export function parsePassed(text: string): Passed {
  const match = PASSED.exec(text);
  if (match === null) throw broken('memory without saying what it is');
  const [id, size, offset, length] = match.slice(1, 5).map(Number) as [number, number, number, number];
  const isSize = size > 0 && size % PAGE === 0 && size <= constants.MAX_LENGTH;
  if (!isSize || offset > size || length < 1 || length > size - offset || id > MAX_ID) {
    throw broken(`memory that cannot be: ${text}`);
  }
  return { id, size, offset, length, sharing: match[5] as Sharing };
}

/**
 * The descriptor that came with a message.
 * @returns nothing when this process could not take it
 * @throws ERR_SHMLOOP_PROTOCOL when there was none
 */
export function descriptorOf({ descriptor, isLost }: GrantMessage): Descriptor | undefined {
  if (descriptor === undefined && !isLost) throw broken('no descriptor where there must be one');
  return descriptor;
}

export function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer passed ${what}`);
}
