import { domain } from '../event/index.js';
import { pumpAll } from '../link/index.js';
import { internals, type Status, type TcpHandle } from './internals.js';

/**
 * A program that awaits one small write after the other goes from tick to tick as long as TCP takes them at once,
 * and its event loop never turns: what two ends have to tell each other before a switch would never be heard. So
 * who writes looks for it. (A program that writes all in one go, without an `await`, lets nothing be heard.)
 */

/** Writes between two looks while there is something to be heard. */
const OFTEN = 64;
/** The same where there may never be. */
const SELDOM = 4096;

const WRITERS = ['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String'] as const;

let isPumping = false;

/** After so many writes of a connection that waits for its peer. */
export function pumpOften(writes: number): void {
  if (writes % OFTEN === 0) pumpSoon();
}

/** After so many writes of a connection that a peer may ask for. */
export function pumpSeldom(writes: number): void {
  const isPowerOfTwo = (writes & (writes - 1)) === 0;
  if (writes >= OFTEN && (isPowerOfTwo || writes % SELDOM === 0)) pumpSoon();
}

/** Calls back before each write of the handles that have this prototype. */
export function countWrites(prototype: TcpHandle, wrote: (tcp: TcpHandle) => void): void {
  for (const name of WRITERS) {
    const write = internals.TCP.prototype[name] as (...args: unknown[]) => Status;
    Object.assign(prototype, {
      [name](this: TcpHandle, ...args: unknown[]): Status {
        wrote(this);
        return write.apply(this, args);
      },
    });
  }
}

/** Not within the write: what is heard may run code of the application. */
function pumpSoon(): void {
  if (isPumping) return;
  isPumping = true;
  // A tick would not come between two microtasks, but these come between two ticks.
  queueMicrotask(() => {
    isPumping = false;
    domain.inOwnContext(pumpAll);
  });
}
