import type { Duplex } from 'node:stream';
import { checkOptions, invalid, ShmloopError, systemError } from '../errors.js';
import { type Credentials, isOwnUser, type Port } from '../link/index.js';
import { ListenedEmitter } from '../listened-emitter.js';
import { PoolBlock, type SharedRegion } from '../memory/index.js';
import { receiveSync, sendSync } from './blocking.js';
import { toBytes } from './bytes.js';
import { Endpoint, type EndpointEvents } from './endpoint.js';
import { TYPE } from './framing.js';
import type { Grant, GrantInfo, GrantOptions } from './grants.js';
import { Iteration } from './iteration.js';
import { checkFlag, checkTimeout, type Limits } from './limits.js';
import type { MapOptions, Mapping } from './mappings.js';
import { tooLarge } from './outlet.js';
import { type MessagePart, type Outgoing, outgoing, pieceOf } from './parts.js';
import { type Item, privateCopy, RegionMessage } from './region-message.js';
import type { RequestOptions } from './requests.js';
import type { RequestHandler } from './responder.js';
import { ChannelStream } from './stream.js';

/** Events of a {@link Channel} and their arguments. */
export interface ChannelEventMap {
  /** A message, in private memory that is the listener's to keep. */
  message: [message: Buffer];
  /** All that waited for room is in the ring. */
  drain: [];
  /** The other end sends no more; all that it sent was delivered. */
  end: [];
  /** Something broke the channel. Emitted only where somebody listens: `close` tells it, too. */
  error: [error: Error];
  /** It is over; the error says why, if it did not end in order. */
  close: [error?: Error];
}

/** Characters of what can be asked for. */
const MAX_REFERENCE = 500;

/** The one way in which messages are taken. */
type Taker = 'message' | 'consume' | 'iteration' | 'regions' | 'stream';

const dropped = new FinalizationRegistry<Endpoint>((endpoint) => endpoint.abandon());

/**
 * Two rings and an event channel between two domains: messages with their
 * boundaries kept, in order, either way.
 *
 * Messages are taken in one way at a time: by `'message'` listeners, by
 * {@link consume}, by iteration, by {@link receiveSync} or as a {@link stream}.
 * While nobody takes them they stay in the ring, and hold up the sender when it
 * is full. A channel keeps the process alive until it is closed, or `unref()`ed.
 */
export class Channel extends ListenedEmitter<ChannelEventMap> implements AsyncDisposable, AsyncIterable<Buffer> {
  readonly #endpoint: Endpoint;
  /** The endpoint knows it weakly, so that a channel which nobody holds can be collected. */
  readonly #events: EndpointEvents = {
    drained: () => this.emit('drain'),
    ended: () => this.emit('end'),
    closed: (error) => this.#onClosed(error),
  };
  readonly #onMessage = (message: Buffer): void => {
    this.emit('message', message);
  };
  #taker: Taker | undefined;
  /** Loops over the messages that were not left. */
  #iterations = 0;
  #stream: ChannelStream | undefined;
  #isEndedHere = false;

  /** Made by `bind` and `connect`. */
  constructor(port: Port, limits: Limits) {
    super();
    this.#endpoint = new Endpoint(port, limits);
    this.#endpoint.events = this.#events;
    dropped.register(this, this.#endpoint, this.#endpoint);
  }

  /** Who is at the other end, by the kernel's word. */
  get peer(): Credentials {
    return this.#endpoint.port.link.peer;
  }

  /** Whether this end sends: both directions have a ring of their own, or only one has. */
  get canSend(): boolean {
    return this.#endpoint.outlet.sender !== undefined;
  }

  /** Whether this end receives. */
  get canReceive(): boolean {
    return this.#endpoint.receiver !== undefined;
  }

  /** Whether it is over: the `close` event came, or is about to. */
  get closed(): boolean {
    return this.#endpoint.isClosed;
  }

  /** The largest message that the other end takes, in bytes. */
  get maxMessageSize(): number {
    return this.#endpoint.port.peerMaxMessageSize;
  }

  /**
   * Sends a message of 0 bytes to {@link maxMessageSize}. It is published by the end of the present turn.
   * @returns true when it is in the ring, and `data` is the caller's again. False when it waits for room,
   *   by reference: leave `data` alone, and better send no more, until {@link drained}. False as well when
   *   the other end is gone: `close` tells why
   * @throws ERR_SHMLOOP_CLOSED after `end()` or `close()`; ERR_SHMLOOP_MESSAGE_SIZE; ERR_SHMLOOP_DIRECTION;
   *   ERR_SHMLOOP_BUSY while a reservation is open; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  send(data: Uint8Array | string): boolean {
    const bytes = toBytes(data);
    this.#checkSend(bytes.length);
    return this.#endpoint.outlet.send(TYPE.message, 0, bytes);
  }

  /**
   * Resolves when all that was sent is in the ring, or the room that {@link reserve} asked for is there.
   * @throws EPIPE, ECONNRESET when the other end is gone; ERR_SHMLOOP_CLOSED
   */
  drained(): Promise<void> {
    return this.#endpoint.outlet.drained();
  }

  /**
   * Reserves room in the ring, to be filled in place: zero-copy sending.
   * @param length bytes, at most {@link maxReservation}
   * @returns the view to fill, the caller's until {@link commit}; or null when there is no room: await {@link drained}
   * @throws as {@link send}
   */
  reserve(length: number): Buffer | null {
    if (!Number.isInteger(length) || length < 0) throw invalid`a length is a non-negative integer, not ${length}`;
    this.#checkSend(length);
    if (length > this.maxReservation) throw tooLarge(length, this.maxReservation);
    return this.#endpoint.outlet.reserve(length) ?? null;
  }

  /** The most that can be reserved: what goes as one frame. Bytes. */
  get maxReservation(): number {
    return Math.min(this.#endpoint.outlet.sender?.maxPayload ?? 0, this.maxMessageSize);
  }

  /**
   * Sends what was reserved; the view is no longer the caller's.
   * @param length how many of its bytes; default all
   * @throws ERR_SHMLOOP_BUSY when nothing is reserved; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  commit(length?: number): void {
    const { sender } = this.#endpoint.outlet;
    if (sender === undefined || !sender.isReserved) throw new ShmloopError('ERR_SHMLOOP_BUSY', 'nothing is reserved');
    const bytes = length ?? sender.reserved;
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > sender.reserved) {
      throw invalid`of ${sender.reserved} reserved bytes, ${bytes} cannot be sent`;
    }
    if (this.closed || this.#endpoint.port.isPeerGone) return this.cancelReservation();
    this.#endpoint.outlet.commit(bytes);
  }

  /** Gives a reservation up, sent nothing; the view is no longer the caller's. Without one it does nothing. */
  cancelReservation(): void {
    this.#endpoint.outlet.cancelReservation();
  }

  /**
   * Sends a request. Any number may be under way: beyond 1024, or 16 MiB of them, they wait here for their turn, and
   * messages that are sent later may come before. `data` is the channel's until then.
   * @returns the reply, in private memory that is the caller's
   * @throws ERR_SHMLOOP_REMOTE when the handler threw (its error is the `cause`); ERR_SHMLOOP_TIMEOUT; the
   *   signal's reason; ECONNRESET when the other end is gone; as {@link send}
   */
  async request(data: Uint8Array | string, options: RequestOptions = {}): Promise<Buffer> {
    const bytes = toBytes(data);
    this.#checkSend(bytes.length);
    this.#checkReceive();
    return this.#endpoint.request(bytes, options);
  }

  /**
   * Answers the requests of the other end, up to 1024 at a time.
   * While there is no handler, requests wait; but where this end takes messages they are refused.
   * @throws ERR_SHMLOOP_INVALID_ARGUMENT
   */
  handle(handler: RequestHandler): this {
    if (typeof handler !== 'function') throw invalid('a handler is a function');
    this.#endpoint.handler = handler;
    return this;
  }

  /**
   * Takes each message where it is, in the ring: zero-copy receiving. The view is valid during the call
   * and must not be kept. The other end can change it at any time: this trusts the peer. A message that came in
   * parts is a private copy.
   * @param trusted whether a peer of another user is trusted as well
   * @throws ERR_SHMLOOP_BUSY when messages are taken in another way; ERR_SHMLOOP_PEER_REJECTED when the peer is of
   *   another user, and not said to be trusted
   */
  consume(consumer: (view: Buffer) => void, options: { trusted?: boolean } = {}): this {
    if (typeof consumer !== 'function') throw invalid('a consumer is a function');
    checkOptions(options);
    const { trusted = false } = options;
    checkFlag('trusted', trusted);
    if (!trusted && !isOwnUser(this.peer)) {
      throw new ShmloopError('ERR_SHMLOOP_PEER_REJECTED', `a view of what uid ${this.peer.uid} can change takes trust`);
    }
    this.#claim('consume');
    this.#endpoint.show = consumer;
    return this;
  }

  /**
   * Iterates over the messages; done at the end. Leaving the loop leaves the channel open. This end does not answer
   * the other's end before the loop has asked for the next message, or was left, so that its body can still send.
   * Who calls `next()` by hand is to call `return()` as well.
   * @throws ERR_SHMLOOP_BUSY when messages are taken in another way; ECONNRESET when the channel breaks
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    this.#claim('iteration');
    return this.#iterate(privateCopy);
  }

  /**
   * Iterates over the messages as the other end sent them by {@link sendRegion} and {@link sendv}: in its own
   * pages, zero-copy, each to be released (`for await (using message of …)`). Other messages come likewise, in
   * private memory. Pages that another user's process can change come as a private copy, unless it is trusted.
   * In every other way of receiving all messages are private copies.
   * @throws as {@link Channel} iteration does; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  regions(options: MapOptions = {}): AsyncIterableIterator<RegionMessage> {
    checkOptions(options);
    const { trusted = false } = options;
    checkFlag('trusted', trusted);
    this.#claim('regions');
    this.#endpoint.takesRegions = true;
    const { uid } = this.peer;
    return this.#iterate((item) =>
      item instanceof RegionMessage ? item.guarded(uid, trusted) : new RegionMessage([item]),
    );
  }

  /**
   * Sends a piece of a region as one message, zero-copy: what the other end sees are these very pages, if it
   * takes them by {@link regions}. Leave them alone until it has released them. A block of a pool goes back into
   * it then, and is the caller's no more; it can be sent to others as well, in the same turn.
   * @param region all of it, or the piece that `range` says, in bytes
   * @returns resolves, and never rejects, when the other end has released it, or is gone
   * @throws at once: ERR_SHMLOOP_POOL when the block was freed or came back; ERR_SHMLOOP_GRANT when the link has
   *   too many regions; as {@link send}
   */
  sendRegion(region: SharedRegion | PoolBlock, range: { offset?: number; length?: number } = {}): Promise<void> {
    checkOptions(range);
    return this.#sendParts([region instanceof PoolBlock ? pieceOf(region, range) : outgoing({ region, ...range })]);
  }

  /**
   * The same for a message of 1 to 1024 parts: bytes, which are copied at once, and pieces of regions.
   * @throws as {@link sendRegion}
   */
  sendv(parts: readonly MessagePart[]): Promise<void> {
    if (!Array.isArray(parts)) throw invalid('parts are an array');
    return this.#sendParts(Array.from(parts, outgoing));
  }

  /**
   * Lets the other end map memory of this process. Send it the grant's `reference`, which it gives to {@link map}.
   * A part of a region is what the other end's buffer shows, and no protection: who has a part has all of the
   * region's memory. It ends with {@link Grant.revoke}, with the region, or with the channel.
   * @throws ERR_SHMLOOP_GRANT when the region is not for that access, or the peer has 1024 grants already;
   *   ERR_SHMLOOP_CLOSED; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  async grant(region: SharedRegion, options: GrantOptions = {}): Promise<Grant> {
    checkOptions(options);
    this.#checkOpen();
    return this.#endpoint.lending.grants.grant(region, options);
  }

  /**
   * Maps memory that the other end granted, zero-copy: what is live can change at any time, so that even
   * `toString()` of it trusts the peer with this process. Each call makes a mapping of its own.
   * @throws ERR_SHMLOOP_GRANT when there is no such grant on this channel, it was revoked, or too many are mapped;
   *   ERR_SHMLOOP_UNTRUSTED when another user's process can change it and `trusted` is not set; ERR_SHMLOOP_REGION
   *   when the memory is not as the peer says; ERR_SHMLOOP_CLOSED; ECONNRESET when the other end is gone;
   *   ENOMEM, EMFILE as the kernel does; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  async map(reference: string, options: MapOptions = {}): Promise<Mapping> {
    checkOptions(options);
    const { trusted = false } = options;
    checkFlag('trusted', trusted);
    if (typeof reference !== 'string' || reference.length > MAX_REFERENCE) throw invalid('not a reference of a grant');
    this.#checkOpen();
    return this.#endpoint.lending.mappings.map(reference, trusted);
  }

  /** The grants of this channel's end that the other can map, or has mapped. */
  grants(): GrantInfo[] {
    return this.#endpoint.lending.grants.list();
  }

  /**
   * The channel as a stream of bytes; message boundaries mean nothing to it.
   * @throws ERR_SHMLOOP_BUSY when messages are taken in another way
   */
  stream(): Duplex {
    if (this.#stream === undefined) {
      if (this.canReceive) this.#claim('stream');
      this.#stream = new ChannelStream(this, this.#endpoint);
    }
    return this.#stream;
  }

  /**
   * Sends a message, blocking this thread until all of it is in the ring: for workers.
   * @param timeout milliseconds; default: no limit
   * @throws ERR_SHMLOOP_TIMEOUT: the message was not sent, or, where it was large and begun, the channel is
   *   closed; EPIPE when the other end is gone; as {@link send}
   */
  sendSync(data: Uint8Array | string, timeout = Number.POSITIVE_INFINITY): void {
    const bytes = toBytes(data);
    this.#checkSend(bytes.length);
    checkTimeout(timeout);
    sendSync(this.#endpoint, bytes, timeout);
  }

  /**
   * Takes the next message, blocking this thread until there is one: for workers.
   * @param timeout milliseconds; default: no limit
   * @returns the message, or null at the end
   * @throws ERR_SHMLOOP_TIMEOUT; ECONNRESET when the other end is gone; ERR_SHMLOOP_BUSY when messages are
   *   taken in another way; ERR_SHMLOOP_DIRECTION
   */
  receiveSync(timeout = Number.POSITIVE_INFINITY): Buffer | null {
    this.#checkReceive();
    if (this.#taker !== undefined) throw busy();
    checkTimeout(timeout);
    this.#endpoint.isTaken = true;
    return receiveSync(this.#endpoint, timeout);
  }

  /**
   * Ends in order: sends nothing after what was sent so far. The other end can go on sending if it allows
   * half-open channels. It waits for a reservation that is still open. Resolves when all is in the ring, from
   * where the other end gets it even if this process exits.
   * @throws EPIPE, ECONNRESET, ERR_SHMLOOP_CLOSED when that cannot be
   */
  end(): Promise<void> {
    this.#isEndedHere = true;
    return this.#endpoint.end();
  }

  /**
   * Closes at once. What is in the ring can still be read by the other end; what waits for room is lost,
   * and so is what was not taken here. Unless this end had ended, and the other has lost nothing, the other
   * sees ECONNRESET.
   * Resolves with the `close` event.
   */
  close(): Promise<void> {
    this.#isEndedHere = true;
    const closed = this.closed
      ? Promise.resolve()
      : new Promise<void>((resolve) => this.once('close', () => resolve()));
    this.#endpoint.close();
    this.#stream?.destroy();
    return closed;
  }

  /** {@link end}, without what is reserved and not committed, then {@link close}: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.cancelReservation();
    await this.end().catch(() => undefined);
    await this.close();
  }

  /** Keeps the process alive, as it does from the start. */
  ref(): this {
    this.#endpoint.port.ref();
    return this;
  }

  /** Lets the process exit while the channel is open. */
  unref(): this {
    this.#endpoint.port.unref();
    return this;
  }

  #checkSend(length: number): void {
    if (this.#isEndedHere) throw new ShmloopError('ERR_SHMLOOP_CLOSED', 'this end of the channel has ended');
    const { outlet, port } = this.#endpoint;
    const { sender } = outlet;
    if (sender === undefined) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not send');
    if (sender.isReserved) throw new ShmloopError('ERR_SHMLOOP_BUSY', 'a reservation is open: commit it first');
    if (length > port.peerMaxMessageSize) throw tooLarge(length, port.peerMaxMessageSize);
  }

  #checkOpen(): void {
    const { port, error } = this.#endpoint;
    if (this.closed) throw error ?? new ShmloopError('ERR_SHMLOOP_CLOSED', 'the channel is closed');
    if (port.isPeerGone) throw systemError('ECONNRESET', 'read', 'the peer closed the channel, or died');
  }

  #checkReceive(): void {
    if (!this.canReceive) throw new ShmloopError('ERR_SHMLOOP_DIRECTION', 'this channel does not receive');
  }

  #claim(taker: Taker): void {
    this.#checkReceive();
    if (this.#taker !== undefined && this.#taker !== taker) throw busy();
    this.#setTaker(taker);
  }

  #setTaker(taker: Taker | undefined): void {
    this.#taker = taker;
    this.#endpoint.isTaken = taker !== undefined;
  }

  #sendParts(parts: readonly Outgoing[]): Promise<void> {
    this.#checkSend(parts.reduce((sum, { length }) => sum + length, 0));
    return this.#endpoint.sendParts(parts);
  }

  #iterate<T>(convert: (item: Item) => T): AsyncIterableIterator<T> {
    this.#iterations++;
    return new Iteration(this.#endpoint, convert, () => {
      if (--this.#iterations > 0) return;
      this.#setTaker(undefined);
      this.#endpoint.takesRegions = false;
    });
  }

  protected override listened(event: string | symbol): void {
    if (event === 'message') {
      this.#claim('message');
      this.#endpoint.push = this.#onMessage;
    }
    this.#endpoint.held = this.#events;
  }

  protected override unlistened(): void {
    if (this.#taker === 'message' && this.listenerCount('message') === 0) {
      this.#setTaker(undefined);
      this.#endpoint.push = undefined;
    }
    if (!this.isListenedTo) this.#endpoint.held = undefined;
  }

  #onClosed(error: Error | undefined): void {
    // The registry holds the endpoint, and that, by its taker, this channel.
    dropped.unregister(this.#endpoint);
    if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error);
    if (error === undefined) this.emit('close');
    else this.emit('close', error);
  }
}

function busy(): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_BUSY', 'messages of this channel are taken in another way');
}
