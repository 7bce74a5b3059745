import { Queue } from '../channel/queue.js';
import { ShmloopError } from '../errors.js';
import { domain, type Publishable } from '../event/index.js';
import { BROADCAST, RING } from '../layout.js';
import type { Credentials, Identity, Port, Service, Shared } from '../link/index.js';
import { Region } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import type { Access } from '../socket/access.js';
import { BroadcastMemory, broadcastFileLength, SEALS } from './broadcast-memory.js';
import type { Ending } from './cursor.js';
import { type Publishing, writeTerms } from './options.js';
import { Subscriber, type SubscriberEvents } from './subscriber.js';
import { BroadcastWriter } from './writer.js';

/** Bytes put, at most, before they are published within a turn. */
const BATCH = 16 * 1024;
/** The longest delay that a timer of Node has. */
const MAX_DELAY = 2 ** 31 - 1;

/** What a publisher is told; none is called from within a call of its own. */
export interface PublicationEvents {
  drained(): void;
  joined(peer: Credentials): void;
  left(peer: Credentials, error: Error | undefined): void;
}

/**
 * The inner half of a publisher: the region, who reads it, and what waits for room in it.
 *
 * With `drop-oldest` no cursor is ever looked at. With `block` the position of the slowest reader is remembered, and
 * all are looked at only when that is no longer enough. What then waits, waits for one reader at a time: whoever holds
 * it up has to go on, in whatever order.
 */
export class Publication implements Service, Publishable, SubscriberEvents {
  /** Its ports have the one ring in whose control page the reader tells where it is. */
  readonly direction = 'receive';
  readonly ringSize = RING.minCapacity;
  readonly maxMessageSize = 0;
  readonly #options: Publishing;
  readonly #access: Access;
  readonly #events: PublicationEvents;
  readonly #region: Region;
  readonly #descriptor: Descriptor;
  readonly #writer: BroadcastWriter;
  readonly #batch: number;
  readonly #subscribers = new Set<Subscriber>();
  readonly #waiting = new Queue<Uint8Array>();
  /** No reader is before this position. */
  #slowest = Number.POSITIVE_INFINITY;
  /** Whom the first waiting message waits for. */
  #awaited: Subscriber | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isListed = false;
  #isReferenced = true;
  /** Times that the descriptor is on its way to a reader. */
  #passing = 0;
  #isClosed = false;

  /** @throws ENOMEM, EMFILE, ENFILE as the kernel does */
  constructor(options: Publishing, access: Access, events: PublicationEvents) {
    this.#options = options;
    this.#access = access;
    this.#events = events;
    const { region, descriptor } = Region.create(broadcastFileLength(options.capacity), 'plain', SEALS);
    region.populate(0, BROADCAST.controlLength);
    region.hide();
    this.#region = region;
    this.#descriptor = descriptor;
    this.#writer = new BroadcastWriter(new BroadcastMemory(region));
    this.#batch = Math.min(BATCH, options.capacity / 4);
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** The largest message, in bytes. */
  get limit(): number {
    return this.#writer.maxMessageSize;
  }

  /** Messages that wait for room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @returns whether it is in the region; else it waits, by reference */
  send(data: Uint8Array): boolean {
    if (this.#waiting.length === 0 && this.#hasRoom(data.length)) {
      this.#put(data);
      return true;
    }
    this.#waiting.push(data);
    if (this.#waiting.length === 1) this.#move();
    return this.#waiting.length === 0;
  }

  publishListed(): void {
    this.#isListed = false;
    if (!this.#isClosed) this.#publish();
  }

  /** Lets go of everything; what waits for room is lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#publish();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
    for (const subscriber of this.#subscribers) this.#dismiss(subscriber, 'closed');
    this.#region.retire();
    this.#closeDescriptor();
  }

  ref(): void {
    this.#isReferenced = true;
    for (const { port } of this.#subscribers) port.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    for (const { port } of this.#subscribers) port.unref();
  }

  // --- Service

  admits(peer: Identity): boolean | Promise<boolean> {
    return this.#access.admits(peer);
  }

  hasRoom(): boolean {
    return !this.#isClosed;
  }

  share(): Shared {
    this.#publish();
    this.#passing++;
    const { newest: start, newestSequence: sequence } = this.#writer;
    return {
      text: writeTerms({ ...this.#options, start, sequence }),
      descriptor: this.#descriptor,
      sent: () => {
        this.#passing--;
        if (this.#isClosed) this.#closeDescriptor();
      },
    };
  }

  accepted(port: Port): void {
    const start = this.#writer.newest;
    this.#subscribers.add(new Subscriber(port, start, this));
    this.#slowest = Math.min(this.#slowest, start);
    if (!this.#isReferenced) port.unref();
    process.nextTick(() => this.#events.joined(port.link.peer));
  }

  // --- SubscriberEvents

  stirred(): boolean {
    return this.#advance();
  }

  left(subscriber: Subscriber): void {
    this.#dismiss(subscriber, 'none');
    // Not from here, within the link: others are about to leave as well.
    process.nextTick(() => this.#advance());
  }

  // --- private

  /** Puts what waits into the region, and tells when nothing waits any more. @returns whether anything went */
  #advance(): boolean {
    if (this.#isClosed || this.#waiting.length === 0) return false;
    const hasMoved = this.#move();
    if (this.#waiting.length === 0) this.#events.drained();
    return hasMoved;
  }

  /** Puts what waits into the region, as far as there is room. @returns whether anything went */
  #move(): boolean {
    let hasMoved = false;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (this.#isHeld(next.length)) break;
      this.#put(next);
      this.#waiting.shift();
      hasMoved = true;
    }
    if (hasMoved) this.#timer?.refresh();
    if (this.#waiting.length > 0) this.#startTimer();
    else this.#stopTimer();
    return hasMoved;
  }

  /** Whether a reader still holds what a message of this length would overwrite, and was asked to tell. */
  #isHeld(length: number): boolean {
    const limit = this.#writer.overwrites(length);
    // Each time anew: what stirred may have been an answer to an earlier mark, which took this one with it.
    if (this.#awaited !== undefined && this.#parkAt(this.#awaited, limit)) return true;
    this.#awaited = undefined;
    while (!this.#hasRoom(length)) {
      this.#publish();
      const slowest = this.#findSlowest();
      if (slowest === undefined || !this.#parkAt(slowest, limit)) continue;
      this.#awaited = slowest;
      return true;
    }
    return false;
  }

  /** Asks a reader to tell when it has read up to `limit`. @returns false when it has already */
  #parkAt(subscriber: Subscriber, limit: number): boolean {
    if (this.#observe(subscriber) >= limit) return false;
    subscriber.cursor.park(this.#wanted(limit));
    return this.#observe(subscriber) < limit;
  }

  /** The position that a reader is to tell of: never one wake-up a message, and nothing that it cannot reach. */
  #wanted(limit: number): number {
    const { published } = this.#writer;
    return Math.min(published, Math.max(limit, published - (this.#options.capacity / 4) * 3));
  }

  #hasRoom(length: number): boolean {
    if (this.#options.policy === 'drop-oldest') return true;
    const limit = this.#writer.overwrites(length);
    if (limit <= this.#slowest) return true;
    this.#findSlowest();
    return limit <= this.#slowest;
  }

  #findSlowest(): Subscriber | undefined {
    let slowest: Subscriber | undefined;
    this.#slowest = Number.POSITIVE_INFINITY;
    for (const subscriber of this.#subscribers) {
      const position = this.#observe(subscriber);
      if (position >= this.#slowest) continue;
      this.#slowest = position;
      slowest = subscriber;
    }
    return slowest;
  }

  /** Up to where a reader has read; one that tells nonsense holds nobody up. */
  #observe(subscriber: Subscriber): number {
    if (!this.#subscribers.has(subscriber)) return Number.POSITIVE_INFINITY;
    try {
      return subscriber.cursor.observe(this.#writer.published);
    } catch (error) {
      this.#dismiss(subscriber, 'expelled', error as Error);
      return Number.POSITIVE_INFINITY;
    }
  }

  #put(data: Uint8Array): void {
    const writer = this.#writer;
    writer.put(data);
    if (writer.filled - writer.published >= this.#batch) {
      this.#publish();
    } else if (!this.#isListed) {
      this.#isListed = true;
      domain.publishSoon(this);
    }
  }

  #publish(): void {
    if (!this.#writer.publish()) return;
    for (const subscriber of this.#subscribers) subscriber.wake();
  }

  #dismiss(subscriber: Subscriber, ending: Ending, error?: Error): void {
    if (!this.#subscribers.delete(subscriber)) return;
    if (this.#awaited === subscriber) this.#awaited = undefined;
    const { peer } = subscriber.port.link;
    subscriber.end(ending);
    process.nextTick(() => this.#events.left(peer, error));
  }

  #startTimer(): void {
    const { timeout } = this.#options;
    if (timeout <= MAX_DELAY) this.#timer ??= setTimeout(() => this.#expel(), timeout);
  }

  /** The time is up: goes on without whoever holds up the first message. */
  #expel(): void {
    this.#timer = undefined;
    const next = this.#waiting.peek();
    if (next === undefined) return;
    const limit = this.#writer.overwrites(next.length);
    for (const subscriber of this.#subscribers) {
      if (this.#observe(subscriber) >= limit) continue;
      const error = new ShmloopError('ERR_SHMLOOP_EXPELLED', 'the subscription held up the publisher for too long');
      this.#dismiss(subscriber, 'expelled', error);
    }
    this.#advance();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #closeDescriptor(): void {
    if (this.#passing === 0) this.#descriptor.close();
  }
}
