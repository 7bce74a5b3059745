import { codeOf, ShmloopError } from '../errors.js';
import { domain } from '../event/index.js';
import { type Descriptor, native, type Poll } from '../native.js';
import { decode, encode, type Kind, MAX_MESSAGE, type Message } from './messages.js';
import { pumpables } from './pump.js';
import { turnShare } from './turn-share.js';

/** Messages read at once where no event loop turns. */
const BATCH = 64;
/** A peer that asks and never reads the answers is cut off here. */
const MAX_QUEUE = 65_536;

export interface ControlHandler {
  /**
   * Takes the descriptors.
   * @param areLost whether there were some that this process could not take (EMFILE)
   */
  received(message: Message, descriptors: Descriptor[], areLost: boolean): void;
  /** The socket is closed: by the peer (no error), or because something went wrong. */
  ended(error?: Error): void;
}

interface Queued {
  bytes: Buffer;
  descriptors: readonly Descriptor[];
  sent?: () => void;
}

/** The AF_UNIX socket of a link: control messages, descriptors, and the peer's death. */
export class ControlSocket {
  readonly #socket: Descriptor;
  readonly #poll: Poll;
  readonly #buffer = Buffer.alloc(MAX_MESSAGE);
  readonly #queue: Queued[] = [];
  #handler: ControlHandler;
  readonly #onTurn = (): void => {
    if (this.#closed) return;
    if (this.#advance(1)) turnShare.wait(this.#onTurn);
    else this.#listen();
  };
  #closed = false;
  #paused = false;

  /** Takes the socket. */
  constructor(socket: Descriptor, handler: ControlHandler) {
    this.#socket = socket;
    this.#handler = handler;
    this.#poll = domain.inOwnContext(() => new (native().Poll)(socket, () => this.#onEvent()));
    this.#poll.start();
    pumpables.add(this);
  }

  set handler(handler: ControlHandler) {
    this.#handler = handler;
  }

  /** @param sent is called once the kernel has it; descriptors stay the caller's and must be open until then */
  send(message: Partial<Message> & { kind: Kind }, descriptors: readonly Descriptor[] = [], sent?: () => void): void {
    if (this.#closed) return;
    this.#queue.push({ bytes: encode(message), descriptors, sent });
    if (this.#queue.length > MAX_QUEUE) {
      this.#fail(new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer does not read its control messages'));
    } else if (this.#queue.length === 1) {
      this.#flush();
    }
  }

  /** Inodes of both its ends, or null where the kernel does not tell. */
  inodes(): [own: number, peer: number] | null {
    return this.#closed ? null : native().socketInodes(this.#socket);
  }

  /** Does what there is to do, without an event. */
  pump(): void {
    if (!this.#closed) this.#advance(BATCH);
  }

  /** Stops reading, so that the next message waits for the next handler. */
  pause(): void {
    this.#paused = true;
    if (!this.#closed && this.#queue.length === 0) this.#poll.stop();
  }

  resume(): void {
    this.#paused = false;
    this.#listen();
  }

  ref(): void {
    this.#poll.ref();
  }

  unref(): void {
    this.#poll.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    pumpables.delete(this);
    this.#poll.close();
    this.#socket.close();
    for (const { sent } of this.#queue.splice(0)) sent?.();
  }

  /** It is not told of the event again while it waits for its turn: libuv would, many times in each. */
  #onEvent(): void {
    while (turnShare.isLeft()) {
      if (!this.#advance(1)) return;
    }
    this.#poll.stop();
    turnShare.wait(this.#onTurn);
  }

  /** Reads so many messages at most. @returns whether there may be more */
  #advance(most: number): boolean {
    if (this.#queue.length > 0) this.#flush();
    for (let i = 0; i < most; i++) {
      if (this.#closed || this.#paused || !this.#receive()) return false;
    }
    return !this.#closed && !this.#paused;
  }

  #receive(): boolean {
    let descriptors: Descriptor[] = [];
    try {
      const received = native().receiveMessage(this.#socket, this.#buffer);
      if (received === null) return false;
      const [length, ...passed] = received;
      descriptors = passed;
      if (length === 0) {
        this.#end();
        return false;
      }
      const message = decode(this.#buffer.subarray(0, Math.abs(length)));
      descriptors = [];
      this.#handler.received(message, passed, length < 0);
      return true;
    } catch (error) {
      for (const descriptor of descriptors) descriptor.close();
      // It hung up without having read all. What it said before is still there, and then the end.
      if (codeOf(error) === 'ECONNRESET') return true;
      this.#fail(error as Error);
      return false;
    }
  }

  #flush(): void {
    try {
      for (;;) {
        const next = this.#queue[0];
        if (next === undefined) break;
        if (!native().sendMessage(this.#socket, next.bytes, next.descriptors)) break;
        this.#queue.shift();
        next.sent?.();
      }
      this.#listen();
    } catch (error) {
      // EPIPE, ECONNRESET: the end itself is seen by reading, after what the peer sent before.
      for (const { sent } of this.#queue.splice(0)) sent?.();
      if (!isDisconnect(error)) this.#fail(error as Error);
    }
  }

  #listen(): void {
    if (!this.#closed && !this.#paused) this.#poll.start(this.#queue.length > 0);
  }

  #end(): void {
    this.close();
    this.#handler.ended();
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    if (codeOf(error) === 'ERR_SHMLOOP_VERSION') this.send({ kind: 'rejected', reason: 'version' });
    this.close();
    this.#handler.ended(isDisconnect(error) ? undefined : error);
  }
}

function isDisconnect(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ENOTCONN';
}
