import { checkOptions, invalid } from '../errors.js';
import { isCapacity } from '../ring/index.js';

/** The largest message that the protocol has, in bytes. */
export const MAX_MESSAGE_SIZE = 1024 ** 3;

/** Options of a channel's end. */
export interface ChannelOptions {
  /** Bytes of the ring that this end receives on: a power of two from 4096 to 67108864. Default 1048576. */
  ringSize?: number;
  /** The largest message that this end receives, in bytes, at most 1 GiB. Default 134217728 (128 MiB). */
  maxMessageSize?: number;
  /** Whether this end stays open for sending when the other has ended. Default false. */
  allowHalfOpen?: boolean;
}

/** The same with every default filled in. */
export type Limits = Required<ChannelOptions>;

export const DEFAULTS: Limits = Object.freeze({
  ringSize: 1024 * 1024,
  maxMessageSize: 128 * 1024 * 1024,
  allowHalfOpen: false,
});

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function limitsOf(options: ChannelOptions): Limits {
  checkOptions(options);
  const { ringSize, maxMessageSize, allowHalfOpen } = { ...DEFAULTS, ...withoutUndefined(options) };
  if (!Number.isInteger(ringSize) || !isCapacity(ringSize)) {
    throw invalid`ringSize is a power of two from 4096 to 67108864, not ${ringSize}`;
  }
  if (!Number.isInteger(maxMessageSize) || maxMessageSize < 0 || maxMessageSize > MAX_MESSAGE_SIZE) {
    throw invalid`maxMessageSize is an integer from 0 to ${MAX_MESSAGE_SIZE}, not ${maxMessageSize}`;
  }
  checkFlag('allowHalfOpen', allowHalfOpen);
  return { ringSize, maxMessageSize, allowHalfOpen };
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is a boolean */
export function checkFlag(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalid`${name} is a boolean`;
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is a number of milliseconds; infinity is no limit */
export function checkTimeout(timeout: unknown): void {
  if (typeof timeout !== 'number' || !(timeout >= 0)) throw invalid`a timeout is in milliseconds, not ${timeout}`;
}

function withoutUndefined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
