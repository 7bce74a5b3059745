import { checkTimeout } from '../channel/limits.js';
import { checkChoice, checkOptions, invalid, ShmloopError } from '../errors.js';
import { isCapacity } from '../ring/index.js';
import type { SharingOptions } from '../socket/access.js';
import { checkName } from '../socket/names.js';

/** What happens when the region is full: the writer waits for the slowest reader, or goes on without it. */
export type Policy = 'block' | 'drop-oldest';

/** Options of {@link publish}: `allow` says who may subscribe. */
export interface PublishOptions extends SharingOptions {
  /**
   * `drop-oldest`: the newest message takes the place of the oldest ones, and who has not read those has lost them.
   * `block`: messages wait for the slowest subscription. Default `drop-oldest`.
   */
  policy?: Policy;
  /** Bytes of the region: a power of two from 4096 to 67108864. A message takes 16 more than it has. Default 1048576. */
  capacity?: number;
  /**
   * With `block`: how long a subscription may keep a message waiting, in milliseconds, before it is expelled.
   * Infinity is for ever. Default 5000.
   */
  timeout?: number;
}

/** How a publisher goes about it. */
export type Publishing = Required<Omit<PublishOptions, keyof SharingOptions>>;

const POLICIES: readonly Policy[] = ['block', 'drop-oldest'];

const DEFAULTS: Publishing = Object.freeze({
  policy: 'drop-oldest',
  capacity: 1024 * 1024,
  timeout: 5000,
});

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function checkPublishOptions(options: PublishOptions): Publishing {
  checkOptions(options);
  const { policy = DEFAULTS.policy, capacity = DEFAULTS.capacity, timeout = DEFAULTS.timeout } = options;
  checkChoice('policy', policy, POLICIES);
  if (!Number.isInteger(capacity) || !isCapacity(capacity)) {
    throw invalid`capacity is a power of two from 4096 to 67108864, not ${capacity}`;
  }
  checkTimeout(timeout);
  return { policy, capacity, timeout };
}

/** What a publisher tells who joins. */
export interface Terms {
  readonly policy: Policy;
  readonly capacity: number;
  /** The position of the record that the subscription begins with. */
  readonly start: number;
  /** And its sequence number. */
  readonly sequence: number;
}

const TERMS = /^(block|drop-oldest) (\d{1,16}) (\d{1,16}) (\d{1,16})$/;

export function writeTerms({ policy, capacity, start, sequence }: Terms): string {
  return `${policy} ${capacity} ${start} ${sequence}`;
}

/** @throws ERR_SHMLOOP_PROTOCOL when they are none */
export function readTerms(text: string): Terms {
  const [, policy, ...numbers] = TERMS.exec(text) ?? [];
  const [capacity = 0, start = 0, sequence = 0] = numbers.map(Number);
  const isSound = isCapacity(capacity) && start % 8 === 0 && [start, sequence].every(Number.isSafeInteger);
  if (policy === undefined || !isSound) {
    throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the publisher broke the protocol: its terms are out of range');
  }
  return { policy: policy as Policy, capacity, start, sequence };
}

/**
 * What a publisher is called among the services of its domain: no name that is bound has a slash.
 * @throws ERR_SHMLOOP_UNSUPPORTED; ERR_SHMLOOP_INVALID_NAME
 */
export function serviceOf(name: string): string {
  checkName(name);
  return `${name}/broadcast`;
}
