import { Channel, type Limits } from '../channel/index.js';
import { Queue } from '../channel/queue.js';
import type { Direction, Identity, Listener, Port, Service } from '../link/index.js';
import { services } from '../link/index.js';
import { ListenedEmitter } from '../listened-emitter.js';
import type { Access } from './access.js';

/** Events of a {@link Server} and their arguments. */
export interface ServerEventMap {
  /** Somebody connected. */
  channel: [channel: Channel];
  /** The name is free again. */
  close: [];
}

/** Takes the next channel; nothing is the end. */
type Taker = (channel: Channel | undefined) => void;

/**
 * A bound name. Channels that connect to it are taken by `'channel'` listeners or by iteration; up to the
 * backlog they wait for that, and then further ones are refused. It keeps the process alive until it is
 * closed, or `unref()`ed.
 */
export class Server
  extends ListenedEmitter<ServerEventMap>
  implements AsyncDisposable, AsyncIterable<Channel>, Service
{
  readonly #listener: Listener;
  readonly #limits: Limits;
  readonly #backlog: number;
  readonly #access: Access;
  readonly #waiting = new Queue<Channel>();
  readonly #takers = new Queue<Taker>();
  #isClosed = false;

  /** Made by `bind`. */
  constructor(
    /** The name that is bound. */
    readonly name: string,
    /** Which way its channels go, as this end sees it. */
    readonly direction: Direction,
    listener: Listener,
    limits: Limits,
    backlog: number,
    access: Access,
  ) {
    super();
    this.#listener = listener;
    this.#limits = limits;
    this.#backlog = backlog;
    this.#access = access;
    services.set(name, this);
  }

  /** Whether the name was freed. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /** Bytes of the ring that each of its channels receives on. */
  get ringSize(): number {
    return this.#limits.ringSize;
  }

  /** The largest message that its channels receive, in bytes. */
  get maxMessageSize(): number {
    return this.#limits.maxMessageSize;
  }

  /** @internal */
  admits(peer: Identity): boolean | Promise<boolean> {
    return this.#access.admits(peer);
  }

  /** @internal */
  hasRoom(): boolean {
    return this.#waiting.length < this.#backlog;
  }

  /** @internal */
  accepted(port: Port): void {
    this.#waiting.push(new Channel(port, this.#limits));
    const taker = this.#takers.shift();
    if (taker !== undefined) taker(this.#waiting.shift());
    // Never within the handling of a control message.
    else if (this.listenerCount('channel') > 0) process.nextTick(() => this.#emitWaiting());
  }

  /** Iterates over the channels that connect; done when the server is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Channel> {
    const takers = new Set<Taker>();
    let isLeft = false;
    const leave = () => {
      isLeft = true;
      for (const taker of takers) {
        this.#takers.remove((other) => other === taker);
        taker(undefined);
      }
    };
    const iterator: AsyncIterableIterator<Channel> = {
      next: async () => {
        const channel = isLeft ? undefined : (this.#next() ?? (await this.#take(takers)));
        return channel === undefined ? { value: undefined, done: true } : { value: channel, done: false };
      },
      return: async () => {
        leave();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Frees the name. Channels that were taken live on; those that still wait are closed. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    services.delete(this.name);
    this.#listener.close();
    for (const channel of this.#waiting.clear()) void channel.close();
    for (const taker of this.#takers.clear()) taker(undefined);
    this.emit('close');
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps the process alive, as it does from the start. */
  ref(): this {
    this.#listener.ref();
    return this;
  }

  /** Lets the process exit while the name is bound. */
  unref(): this {
    this.#listener.unref();
    return this;
  }

  /** @param takers who waits for a channel in one loop */
  #take(takers: Set<Taker>): Promise<Channel | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const taker: Taker = (channel) => {
        takers.delete(taker);
        resolve(channel);
      };
      takers.add(taker);
      this.#takers.push(taker);
    });
  }

  protected override listened(event: string | symbol): void {
    if (event === 'channel') process.nextTick(() => this.#emitWaiting());
  }

  /** The next channel that waits. One that closed meanwhile, with nothing left to take, is none. */
  #next(): Channel | undefined {
    for (;;) {
      const channel = this.#waiting.shift();
      if (channel === undefined || !channel.closed) return channel;
    }
  }

  #emitWaiting(): void {
    while (this.listenerCount('channel') > 0) {
      const channel = this.#next();
      if (channel === undefined) return;
      try {
        this.emit('channel', channel);
      } catch (error) {
        // The listener's own affair, but not that of the channels behind this one.
        process.nextTick(() => this.#emitWaiting());
        throw error;
      }
    }
  }
}
