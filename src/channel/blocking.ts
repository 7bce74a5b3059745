import { ShmloopError, systemError } from '../errors.js';
import { domain } from '../event/index.js';
import type { Sleep } from '../ring/index.js';
import type { Endpoint } from './endpoint.js';
import { TYPE } from './framing.js';

/** A native wait cannot be ended by `terminate()` or `process.exit()`: so long at most, in milliseconds. */
const SLICE = 20;
/** Looks between two looks at the clock. */
const SPINS = 128;

/** One side of a ring, as a blocking call waits for it. */
interface Side {
  isReady(): boolean;
  park(sleep: Sleep): boolean;
  wait(milliseconds: number): boolean;
  unpark(): void;
}

/**
 * The next message; `null` at the end.
 * @throws ERR_SHMLOOP_TIMEOUT, ECONNRESET, what broke the channel
 */
export function receiveSync(endpoint: Endpoint, timeout: number): Buffer | null {
  const deadline = performance.now() + timeout;
  for (;;) {
    const message = endpoint.take();
    if (message !== undefined) return message;
    if (endpoint.isDrained) {
      if (endpoint.error !== undefined) throw endpoint.error;
      return null;
    }
    const { receiver } = endpoint;
    if (receiver === undefined) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not receive');
    const side = {
      isReady: () => !receiver.isEmpty(),
      park: (sleep: Sleep) => receiver.park(sleep),
      wait: (milliseconds: number) => receiver.wait(milliseconds),
      unpark: () => receiver.unpark(),
    };
    if (!block(endpoint, side, deadline)) throw timedOut('no message', timeout);
  }
}

/**
 * Sends a message, waiting until all of it is in the ring.
 * @throws ERR_SHMLOOP_TIMEOUT: nothing was sent, or, if a large message was begun, the channel is closed with it;
 *   EPIPE when the peer is gone
 */
export function sendSync(endpoint: Endpoint, data: Uint8Array, timeout: number): void {
  const { sender } = endpoint;
  if (sender === undefined) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not send');
  if (isGone(endpoint)) throw broken();
  const isInRing = endpoint.send(TYPE.message, 0, data);
  sender.publish();
  if (isInRing) return;
  const deadline = performance.now() + timeout;
  while (sender.queued > 0) {
    sender.flush();
    sender.publish();
    const side = {
      isReady: () => sender.hasRoom(),
      park: (sleep: Sleep) => sender.park(sleep),
      wait: (milliseconds: number) => sender.wait(milliseconds),
      unpark: () => sender.unpark(),
    };
    if (sender.queued > 0 && !block(endpoint, side, deadline)) {
      const error = timedOut('no room', timeout);
      if (!sender.withdraw()) endpoint.finish(error);
      throw error;
    }
    // What waited for room is lost with the peer.
    if (isGone(endpoint)) throw broken();
  }
}

/** Waits until the side is ready, or the peer is gone. @returns false when the time was up */
function block(endpoint: Endpoint, side: Side, deadline: number): boolean {
  if (domain.blocking.mayPoll && spin(side, deadline)) return true;
  const left = deadline - performance.now();
  if (left <= 0) return side.isReady();
  if (domain.waiting !== 'spin' && side.park('futex')) {
    side.wait(Math.min(left, SLICE));
    side.unpark();
    // The mark for the event loop went with it: the next turn looks, and arms again.
    endpoint.port.activate();
  }
  domain.blocking.worked();
  // The peer's close and its death come by the control socket.
  endpoint.port.link.pump();
  endpoint.settle();
  return true;
}

/** @returns whether the side got ready */
function spin(side: Side, deadline: number): boolean {
  const until = Math.min(deadline, performance.now() + SLICE);
  do {
    for (let i = 0; i < SPINS; i++) {
      if (side.isReady()) {
        domain.blocking.worked();
        return true;
      }
    }
  } while (domain.blocking.shouldPoll() && performance.now() < until);
  return false;
}

function isGone(endpoint: Endpoint): boolean {
  return endpoint.isClosed || endpoint.port.isPeerGone;
}

function broken(): Error {
  return systemError('EPIPE', 'write', 'the peer is gone');
}

function timedOut(what: string, timeout: number): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_TIMEOUT', `${what} within ${timeout} ms`);
}
