import { ShmloopError, systemError } from '../errors.js';
import type { GrantMessage, Port } from '../link/index.js';
import { Region, SHARING_SEALS, type Sharing } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import type { Settler } from '../settler.js';
import { broken, descriptorOf, type Passed, parsePassed } from './grant-messages.js';

/** Options of {@link Channel.map}. */
export interface MapOptions {
  /**
   * Whether to map memory that another user's process can change while this one looks at it. Default false:
   * only what is immutable, or of a process of this user.
   */
  trusted?: boolean;
}

/** What the library holds for a mapping; the application holds the {@link Mapping}. */
interface Held {
  readonly id: number;
  readonly region: Region;
  readonly controller: AbortController;
  isReleased: boolean;
  readonly release: () => void;
}

interface Asked {
  readonly isTrusted: boolean;
  readonly settler: Settler<Mapping>;
}

const dropped = new FinalizationRegistry<Held>((held) => held.release());
/** A buffer that is still held keeps its mapping, and so is not let go of by the collector. */
const mappingOf = new WeakMap<Buffer, Mapping>();

/**
 * Memory of the other end's, mapped here. What is written to it by who may only read stays private. It is let
 * go of by {@link close}, when the channel is over, or when neither it nor its {@link buffer} is held any more;
 * a `subarray` of the buffer alone does not hold it.
 */
export class Mapping implements Disposable {
  /** The bytes that were granted. After {@link close} they are private and zero. */
  readonly buffer: Buffer;
  /** What the kernel lets this end do. */
  readonly access: 'read' | 'write';
  /** Whether nobody can change the bytes any more. */
  readonly immutable: boolean;
  readonly #held: Held;

  /** Made by {@link Channel.map}. */
  constructor(held: Held, { offset, length, sharing }: Passed) {
    this.buffer = Buffer.from(held.region.memory, offset, length);
    this.access = sharing === 'write' ? 'write' : 'read';
    this.immutable = sharing === 'immutable';
    this.#held = held;
    mappingOf.set(this.buffer, this);
    dropped.register(this, held, held);
  }

  /**
   * Aborted when the owner wants it back: let go of it soon by {@link close}. Aborted as well when the channel
   * is over at either end, and right after that it is let go of: what is still wanted must be copied in the
   * listener.
   */
  get revoked(): AbortSignal {
    return this.#held.controller.signal;
  }

  /** Whether it was let go of. */
  get closed(): boolean {
    return this.#held.isReleased;
  }

  /** Lets go of it. Views stay valid, private and zero: work of the thread pool on them goes on, on those. */
  close(): void {
    dropped.unregister(this.#held);
    this.#held.release();
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** What one end of a channel has mapped of the other's. */
export class Mappings {
  readonly #port: Port;
  readonly #asked = new Map<number, Asked>();
  readonly #held = new Set<Held>();
  #nextToken = 1;

  constructor(port: Port) {
    this.#port = port;
  }

  /** Whether something is mapped, or asked for. */
  get isInUse(): boolean {
    return this.#held.size > 0 || this.#asked.size > 0;
  }

  map(reference: string, isTrusted: boolean): Promise<Mapping> {
    return new Promise((resolve, reject) => {
      const token = this.#nextToken++;
      this.#asked.set(token, { isTrusted, settler: { resolve, reject } });
      this.#port.tell({ kind: 'map', ring: token, text: reference });
    });
  }

  /** The peer answers. @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION when it does not do what it says */
  answered(said: GrantMessage): void {
    const { message, descriptor } = said;
    const asked = this.#asked.get(message.ring);
    if (asked === undefined) {
      descriptor?.close();
      throw broken('memory that nobody asked for');
    }
    this.#asked.delete(message.ring);
    if (message.reason !== 'none') {
      descriptor?.close();
      return asked.settler.reject(refusal(message.reason === 'resources'));
    }
    try {
      const passed = parsePassed(message.text);
      this.#settle(asked, passed, descriptorOf(said));
    } catch (error) {
      descriptor?.close();
      asked.settler.reject(error as Error);
      throw error;
    }
  }

  /** The owner wants a grant back. */
  revoked(id: number): void {
    const reason = new ShmloopError('ERR_SHMLOOP_GRANT', 'the grant was revoked');
    for (const held of this.#held) {
      // It may come in one batch with the mapping itself: who awaits that is to add its listener first.
      if (held.id === id) setImmediate(() => held.controller.abort(reason));
    }
  }

  /** The channel is over: tells those who hold mappings, and then lets go of them. */
  close(reason: Error): void {
    for (const { settler } of this.#asked.values()) settler.reject(reason);
    this.#asked.clear();
    for (const held of this.#held) {
      process.nextTick(() => {
        held.controller.abort(reason);
        dropped.unregister(held);
        held.release();
      });
    }
  }

  #settle(asked: Asked, passed: Passed, descriptor: Descriptor | undefined): void {
    const error = this.#whyNot(passed.sharing, asked.isTrusted, descriptor);
    if (error !== undefined || descriptor === undefined) {
      descriptor?.close();
      return this.#giveUp(asked, passed, error as Error);
    }
    let region: Region;
    try {
      region = adopt(descriptor, passed);
    } catch (error) {
      if (error instanceof ShmloopError) throw error;
      return this.#giveUp(asked, passed, error as Error);
    }
    asked.settler.resolve(new Mapping(this.#hold(passed.id, region), passed));
  }

  #whyNot(sharing: Sharing, isTrusted: boolean, descriptor: Descriptor | undefined): Error | undefined {
    if (descriptor === undefined) return systemError('EMFILE', 'recvmsg', 'map');
    if (isSafe(sharing, this.#port.link.peer.uid, isTrusted)) return undefined;
    return new ShmloopError('ERR_SHMLOOP_UNTRUSTED', 'another user can change that memory: see `trusted`');
  }

  #giveUp(asked: Asked, passed: Passed, error: Error): void {
    this.#port.tell({ kind: 'unmapped', ring: passed.id });
    asked.settler.reject(error);
  }

  #hold(id: number, region: Region): Held {
    const release = () => {
      if (held.isReleased) return;
      held.isReleased = true;
      this.#held.delete(held);
      region.retire();
      this.#port.tell({ kind: 'unmapped', ring: id });
      this.#port.unhold();
    };
    const held: Held = { id, region, controller: new AbortController(), isReleased: false, release };
    this.#held.add(held);
    // The owner hears that this end is gone only when the memory is no longer mapped.
    this.#port.hold();
    return held;
  }
}

/** Maps memory that a peer passed, after checking that it is what the peer says; takes the descriptor. */
export function adopt(descriptor: Descriptor, { size, sharing }: Passed): Region {
  const region = Region.adopt(descriptor, size, sharing === 'write' ? 'plain' : 'private', SHARING_SEALS[sharing]);
  region.lend();
  return region;
}

/** Whether memory may be looked at where it is: its bytes cannot change, or only those who are trusted change them. */
export function isSafe(sharing: Sharing, uid: number, isTrusted: boolean): boolean {
  return isTrusted || sharing === 'immutable' || uid === process.geteuid?.();
}

function refusal(isForWant: boolean): Error {
  if (isForWant) return new ShmloopError('ERR_SHMLOOP_GRANT', 'there are too many mappings over this link');
  return new ShmloopError('ERR_SHMLOOP_GRANT', 'there is no such grant on this channel, or it was revoked');
}
