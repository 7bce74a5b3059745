import { domain, type WaitingMode } from './event/index.js';

/** What {@link configure} sets. */
export interface Configuration {
  /** How this thread waits for its peers. Default `adaptive`. */
  waiting?: WaitingMode;
}

/**
 * Sets how this thread (main thread or worker) works, from now on.
 * @throws ERR_SHMLOOP_INVALID_ARGUMENT
 */
export function configure({ waiting }: Configuration = {}): void {
  if (waiting !== undefined) domain.waiting = waiting;
}
