import { setImmediate as turn } from 'node:timers/promises';

/** More than a domain without work looks around before it sleeps, where waiting is not `spin`. */
const QUIET_TURNS = 50;

export { turn };

/** What was sent is in the ring by then, and nobody has looked: the event loop has not gone round. */
export function published(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(resolve));
}

/** Lets this domain go to sleep, of which there is no event. */
export async function asleep(): Promise<void> {
  for (let i = 0; i < QUIET_TURNS; i++) await turn();
}
