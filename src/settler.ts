/** What settles a promise. */
export interface Settler<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

export interface Limit {
  signal?: AbortSignal | undefined;
  /** Milliseconds; none when there is no limit. */
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
  const timer = timeout === undefined ? undefined : setTimeout(onTimeout, timeout);
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
