import { ShmloopError, systemError } from '../errors.js';
import type { GrantMessage, Port } from '../link/index.js';
import type { Region, Sharing } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import { broken, descriptorOf, type Passed, parsePassed } from './grant-messages.js';
import { adopt } from './mappings.js';
import { decodeParts, type Incoming } from './parts.js';
import { RegionMessage } from './region-message.js';

/** Regions that a peer may have passed for messages at a time over one link. */
const MAX_PASSED = 1024;

const passedOver = new WeakMap<object, { count: number }>();

/** A region of the other end's, mapped once for all messages in it. */
interface Cached {
  readonly region: Region | undefined;
  /** Why it could not be mapped. */
  readonly error: Error | undefined;
  readonly sharing: Sharing;
  messages: number;
  /** The owner passes no more messages in it. */
  isRevoked: boolean;
}

export interface InboxHooks {
  /** The message with the number is not in use any more: the sender is to be told. */
  release(id: number): void;
  /** What a message waited for has come. */
  arrived(): void;
}

/** The messages whose parts are in regions of the other end's. */
export class Inbox {
  readonly #port: Port;
  #hooks: InboxHooks;
  readonly #maxMessageSize: number;
  readonly #regions = new Map<number, Cached>();
  readonly #passed: { count: number };
  /** Those that were not released, by number. */
  readonly #held = new Set<number>();
  /** A message whose regions are still on their way. */
  #pending: { id: number; payload: Buffer } | undefined;
  #isClosed = false;

  constructor(port: Port, maxMessageSize: number, hooks: InboxHooks) {
    this.#port = port;
    this.#maxMessageSize = maxMessageSize;
    this.#hooks = hooks;
    this.#passed = passedOver.get(port.link) ?? { count: 0 };
    passedOver.set(port.link, this.#passed);
  }

  /** Whether a message waits for its regions: what comes behind it waits, too. */
  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  /** Messages that the application has not released. */
  get held(): number {
    return this.#held.size;
  }

  /** The peer passes a region. @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION */
  passed(said: GrantMessage): void {
    try {
      this.#add(parsePassed(said.message.text), descriptorOf(said));
    } catch (error) {
      said.descriptor?.close();
      throw error;
    }
    this.#passed.count++;
    if (this.#pending !== undefined) this.#hooks.arrived();
  }

  /** The owner sends no more messages in it. @returns whether there is such a region */
  revoked(id: number): boolean {
    const cached = this.#regions.get(id);
    if (cached === undefined) return false;
    cached.isRevoked = true;
    this.#settle(id, cached);
    return true;
  }

  /**
   * A message has come.
   * @returns nothing when its regions have not: {@link resume}
   * @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_MESSAGE_SIZE; ENOMEM, EMFILE when a region could not be mapped
   */
  receive(id: number, payload: Buffer): RegionMessage | undefined {
    const { parts, head } = decodeParts(payload);
    if (this.#held.has(id)) throw broken(`message ${id} twice`);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length > this.#maxMessageSize) {
      throw new ShmloopError(
        'ERR_SHMLOOP_MESSAGE_SIZE',
        `a message of ${length} bytes; at most ${this.#maxMessageSize}`,
      );
    }
    if (parts.every(({ grant }) => grant === 0 || this.#regions.has(grant)))
      return this.#make(id, parts, payload, head);
    this.#pending = { id, payload };
    return undefined;
  }

  /** The message that waited, if its regions have come. @throws as {@link receive} */
  resume(): RegionMessage | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending && this.receive(pending.id, pending.payload);
  }

  /**
   * The channel is over: what no message is in is let go of now, and the rest with the last message in it.
   * @param hooks from now on. What is still to be released must not hold the messages that nobody has taken: these
   * are released when they are collected
   */
  close(hooks: InboxHooks): void {
    this.#hooks = hooks;
    this.#isClosed = true;
    this.#pending = undefined;
    for (const [id, cached] of this.#regions) this.#settle(id, cached);
  }

  #add(passed: Passed, descriptor: Descriptor | undefined): void {
    const { id, sharing } = passed;
    if (id === 0 || this.#regions.has(id) || this.#passed.count >= MAX_PASSED) {
      throw broken('a region twice, or too many');
    }
    const mapped = descriptor === undefined ? lost() : tryAdopt(() => adopt(descriptor, passed));
    this.#regions.set(id, { ...mapped, sharing, messages: 0, isRevoked: false });
  }

  #make(id: number, parts: readonly Incoming[], payload: Buffer, head: number): RegionMessage {
    const used: [number, Cached][] = [];
    let sharing: Sharing = 'immutable';
    let at = head;
    const buffers = parts.map(({ grant, offset, length }) => {
      if (grant === 0) {
        at += length;
        return payload.subarray(at - length, at);
      }
      const cached = this.#regions.get(grant) as Cached;
      const { region, error } = cached;
      if (region === undefined) throw error;
      if (region.isTaken) throw new ShmloopError('ERR_SHMLOOP_REGION', 'the application transferred the memory');
      if (offset > region.length || length > region.length - offset) throw broken('a part outside of its region');
      used.push([grant, cached]);
      if (cached.sharing !== 'immutable') sharing = cached.sharing;
      return Buffer.from(region.memory, offset, length);
    });
    for (const [, cached] of used) cached.messages++;
    this.#held.add(id);
    // The sender hears that this end is gone only when nothing is in use any more.
    this.#port.hold();
    return new RegionMessage(buffers, sharing, () => {
      this.#held.delete(id);
      for (const [grant, cached] of used) {
        cached.messages--;
        this.#settle(grant, cached);
      }
      this.#hooks.release(id);
      this.#port.unhold();
    });
  }

  #settle(id: number, cached: Cached): void {
    if (cached.messages > 0 || !(cached.isRevoked || this.#isClosed)) return;
    if (!this.#regions.delete(id)) return;
    this.#passed.count--;
    cached.region?.retire();
    this.#port.tell({ kind: 'unmapped', ring: id });
  }
}

function tryAdopt(map: () => Region): Pick<Cached, 'region' | 'error'> {
  try {
    return { region: map(), error: undefined };
  } catch (error) {
    if (error instanceof ShmloopError) throw error;
    return { region: undefined, error: error as Error };
  }
}

function lost(): Pick<Cached, 'region' | 'error'> {
  return { region: undefined, error: systemError('EMFILE', 'recvmsg', 'a region for messages') };
}
