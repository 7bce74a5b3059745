import { EventEmitter } from 'node:events';
import { toBytes } from '../channel/bytes.js';
import { ShmloopError } from '../errors.js';
import { type Credentials, type Listener, services } from '../link/index.js';
import type { Access } from '../socket/access.js';
import { type Policy, type Publishing, serviceOf } from './options.js';
import { Publication } from './publication.js';

/** Events of a {@link Publisher} and their arguments. */
export interface PublisherEventMap {
  /** All that waited for room is in the region. */
  drain: [];
  /** Somebody subscribed. */
  join: [peer: Credentials];
  /** A subscription is over; the error says why, if this end ended it. */
  leave: [peer: Credentials, error?: Error];
  /** It is over. */
  close: [];
}

/**
 * One writer of a broadcast region. Messages go to all subscriptions there are, through one ring that all of them
 * read: it costs the same for one as for many. It keeps the process alive until it is closed, or `unref()`ed.
 */
export class Publisher extends EventEmitter<PublisherEventMap> implements AsyncDisposable {
  readonly #publication: Publication;
  readonly #options: Publishing;
  readonly #waiters: (() => void)[] = [];
  #listener: Listener | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  /** Made by `publish`. @throws ENOMEM, EMFILE, ENFILE as the kernel does */
  constructor(
    /** The name that is published under. */
    readonly name: string,
    options: Publishing,
    access: Access,
  ) {
    super();
    this.#options = options;
    this.#publication = new Publication(options, access, {
      drained: () => this.#drained(),
      joined: (peer) => this.emit('join', peer),
      left: (peer, error) => (error === undefined ? this.emit('leave', peer) : this.emit('leave', peer, error)),
    });
  }

  /** @internal Whoever dials the listener can subscribe from now on. */
  open(listener: Listener): void {
    this.#listener = listener;
    services.set(serviceOf(this.name), this.#publication);
  }

  /** What happens when the region is full. */
  get policy(): Policy {
    return this.#options.policy;
  }

  /** Bytes of the region. */
  get capacity(): number {
    return this.#options.capacity;
  }

  /** The largest message, in bytes: it takes all of the region. */
  get maxMessageSize(): number {
    return this.#publication.limit;
  }

  /** How many subscriptions there are. */
  get subscribers(): number {
    return this.#publication.size;
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends a message of 0 bytes to {@link maxMessageSize} to all subscriptions. It is published by the end of the
   * present turn.
   * @returns true when it is in the region, and `data` is the caller's again: with `drop-oldest` always. False when it
   *   waits for the slowest subscription, by reference: leave `data` alone, and better send no more, until
   *   {@link drained}
   * @throws ERR_SHMLOOP_CLOSED after `close()`; ERR_SHMLOOP_MESSAGE_SIZE; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  send(data: Uint8Array | string): boolean {
    const bytes = toBytes(data);
    if (this.#closing !== undefined) throw new ShmloopError('ERR_SHMLOOP_CLOSED', 'the publisher is closed');
    if (bytes.length > this.maxMessageSize) {
      throw new ShmloopError(
        'ERR_SHMLOOP_MESSAGE_SIZE',
        `a message of ${bytes.length} bytes; the region takes at most ${this.maxMessageSize}`,
      );
    }
    return this.#publication.send(bytes);
  }

  /** Resolves when all that was sent is in the region. */
  drained(): Promise<void> {
    if (this.#publication.waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /**
   * Ends in order: frees the name, waits until all that was sent is in the region, and lets go. Subscriptions read the
   * rest at their own pace. One that holds this up is expelled in its time.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps the process alive, as it does from the start. */
  ref(): this {
    this.#listener?.ref();
    this.#publication.ref();
    return this;
  }

  /** Lets the process exit while it is open. */
  unref(): this {
    this.#listener?.unref();
    this.#publication.unref();
    return this;
  }

  async #close(): Promise<void> {
    if (this.#listener !== undefined) {
      this.#listener.close();
      services.delete(serviceOf(this.name));
    }
    await this.drained();
    this.#publication.close();
    this.#isClosed = true;
    // After the last 'leave'.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    this.emit('close');
  }

  #drained(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
    this.emit('drain');
  }
}
