import { checkOptions } from './errors.js';
import { domain, type WaitingMode } from './event/index.js';
import { workingCopy } from './net/copies.js';
import { changeSettings, type NetSettings } from './net/settings.js';

/** What {@link configure} sets. */
export interface Configuration {
  /** How this thread waits for its peers. Default `adaptive`. */
  waiting?: WaitingMode;
  /** What the drop-in for `node:net` does, as the `SHMLOOP_…` variables say it for a whole process. */
  net?: Partial<NetSettings>;
}

/**
 * Sets how this thread (main thread or worker) works, from now on.
 * @throws ERR_SHMLOOP_INVALID_ARGUMENT
 */
export function configure(configuration: Configuration = {}): void {
  checkOptions(configuration);
  const { waiting, net } = configuration;
  if (net !== undefined) (workingCopy()?.changeSettings ?? changeSettings)(net);
  if (waiting !== undefined) domain.waiting = waiting;
}
