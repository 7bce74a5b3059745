/** The longest delay that a timer of Node has, 25 days: beyond, it would be none at all. */
const MAX_DELAY = 2 ** 31 - 1;

/** What settles a promise. */
export interface Settler<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

export interface Limit {
  signal?: AbortSignal | undefined;
  /** Milliseconds; none, or infinity, when there is no limit. */
  timeout?: number | undefined;
  /** The error of a time that is up; nothing is to wait as long again. */
  timedOut(): Error | undefined;
}

/**
 * The same settler, given up at a signal or when the time is up; timer and listener go with whatever
 * settles it.
 * @param giveUp rejects it, with the reason
 */
export function limited<T>(settler: Settler<T>, limit: Limit, giveUp: (error: Error) => void): Settler<T> {
  const { signal, timeout } = limit;
  if (signal === undefined && timeout === undefined) return settler;
  const onAbort = () => giveUp(signal?.reason as Error);
  const onTimeout = () => {
    const error = limit.timedOut();
    if (error === undefined) timer?.refresh();
    else giveUp(error);
  };
  const isBounded = timeout !== undefined && timeout <= MAX_DELAY;
  const timer = isBounded ? setTimeout(onTimeout, timeout) : undefined;
  signal?.addEventListener('abort', onAbort, { once: true });
  const release = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  return {
    resolve: (value) => {
      release();
      settler.resolve(value);
    },
    reject: (error) => {
      release();
      settler.reject(error);
    },
  };
}
