import { ShmloopError } from '../errors.js';
import { domain } from '../event/index.js';
import type { Sleep } from '../ring/index.js';
import type { Endpoint } from './endpoint.js';
import { TYPE } from './framing.js';
import { peerIsGone } from './outlet.js';

/** A native wait cannot be ended by `terminate()` or `process.exit()`: so long at most, in milliseconds. */
const SLICE = 20;
/** How long a thread spins at most before it looks after the peer's close and death, in milliseconds. */
const LONGEST_SPIN = 1;
/** Looks between two looks at the clock. */
const LOOKS = 128;

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
  const { receiver } = endpoint;
  if (receiver === undefined) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not receive');
  let deadline: number | undefined;
  for (;;) {
    const message = endpoint.take();
    if (message !== undefined) return message;
    if (endpoint.isDrained) {
      if (endpoint.error !== undefined) throw endpoint.error;
      return null;
    }
    // What the peer waits for may be waiting here, and the turn that would send it does not end.
    domain.publishNow();
    if (deadline === undefined) {
      if (domain.blocking.mayPoll && look(receiver)) continue;
      deadline = performance.now() + timeout;
    }
    block(endpoint, receiver, deadline);
    // Not only when nothing came: what comes may be no message.
    if (performance.now() >= deadline && endpoint.isEmpty) throw timedOut('no message', timeout);
  }
}

/**
 * Sends a message, waiting until all of it is in the ring.
 * @throws ERR_SHMLOOP_TIMEOUT: nothing was sent, or, if a large message was begun, the channel is closed with it;
 *   EPIPE when the peer is gone
 */
export function sendSync(endpoint: Endpoint, data: Uint8Array, timeout: number): void {
  const { outlet } = endpoint;
  const { sender } = outlet;
  if (sender === undefined) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not send');
  if (outlet.trySendNow(data)) return;
  throwIfGone(endpoint);
  let isSent = false;
  const done = () => {
    isSent = true;
  };
  outlet.send(TYPE.message, 0, data, done);
  const deadline = performance.now() + timeout;
  while (!isSent) {
    throwIfGone(endpoint);
    if (performance.now() >= deadline) {
      const error = timedOut('no room', timeout);
      if (!sender.withdraw(done)) endpoint.finish(error);
      throw error;
    }
    block(endpoint, sender, deadline);
    outlet.flush();
  }
}

/** Waits until the side is ready, or a while has passed. */
function block(endpoint: Endpoint, side: Side, deadline: number): void {
  try {
    if (!(domain.blocking.mayPoll && spin(side, deadline)) && domain.waiting !== 'spin')
      sleep(endpoint, side, deadline);
  } catch (error) {
    // The peer broke the ring.
    endpoint.finish(error as Error);
  }
  domain.blocking.worked(performance.now());
  endpoint.outlet.flush();
  // The peer's close and its death come by the control socket.
  endpoint.port.link.pump();
  endpoint.settle();
}

function sleep(endpoint: Endpoint, side: Side, deadline: number): void {
  const left = deadline - performance.now();
  if (left <= 0 || !side.park('futex')) return;
  side.wait(Math.min(left, SLICE));
  side.unpark();
  // The mark for the event loop went with it: the next turn looks, and arms again.
  endpoint.port.activate();
}

/** @returns whether the side got ready */
function spin(side: Side, deadline: number): boolean {
  const until = Math.min(deadline, performance.now() + LONGEST_SPIN);
  do {
    if (look(side)) return true;
  } while (domain.blocking.shouldPoll() && performance.now() < until);
  return false;
}

/** The dense case: the answer is there before it would be worth asking for the time. */
function look(side: Side): boolean {
  for (let i = 0; i < LOOKS; i++) {
    if (side.isReady()) return true;
  }
  return false;
}

function throwIfGone(endpoint: Endpoint): void {
  if (!endpoint.isClosed && !endpoint.port.isPeerGone) return;
  const isBroken = !endpoint.port.isPeerGone && endpoint.error !== undefined;
  throw isBroken ? endpoint.error : peerIsGone();
}

function timedOut(what: string, timeout: number): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_TIMEOUT', `${what} within ${timeout} ms`);
}
