import { ShmloopError, systemError } from '../errors.js';
import { domain } from '../event/index.js';
import type { GrantMessage, Port, PortHandler } from '../link/index.js';
import { toBytes } from './bytes.js';
import { type FrameType, TYPE } from './framing.js';
import { Intake, type Waiter } from './intake.js';
import { Lending } from './lending.js';
import type { Limits } from './limits.js';
import type { Outgoing } from './parts.js';
import { Receiver, type Sink } from './receiver.js';
import { type Item, privateCopy, type RegionMessage } from './region-message.js';
import { type RequestOptions, Requests } from './requests.js';
import { Responder } from './responder.js';
import { Sender } from './sender.js';

const NOTHING = new Uint8Array(0);
/** Who pulls message by message without a turn of the event loop in between would starve all others. */
const PULLS_A_TURN = 4;
/** Bytes of regions that may be copied in a turn: a few bytes in the ring can stand for many. */
const COPIED_A_TURN = 1024 * 1024;
/** Bytes that may wait to be sent while further requests are taken. */
const MAX_REPLIES = 16 * 1024 * 1024;
/** What a channel is told; each is called outside of any reading of the ring. */
export interface EndpointEvents {
  drained(): void;
  ended(): void;
  closed(error: Error | undefined): void;
}

/**
 * The inner half of a channel: what lives as long as its port does. The public
 * {@link Channel} holds it, and is itself held only while somebody listens to it.
 */
export class Endpoint implements PortHandler, Sink {
  readonly port: Port;
  readonly limits: Limits;
  readonly sender: Sender | undefined;
  readonly receiver: Receiver | undefined;
  readonly requests = new Requests();
  readonly responder: Responder;
  readonly lending: Lending;
  /** Whether it ends by itself when the peer has ended. */
  answersEnd: boolean;
  readonly #intake = new Intake();
  readonly #drainWaiters: { resolve(): void; reject(error: Error): void }[] = [];
  #events: WeakRef<EndpointEvents> | undefined;
  /** Keeps the channel while it has listeners. */
  held: EndpointEvents | undefined;
  #end: Promise<void> | undefined;
  /** Something waits, or waited, for room, and the application was not told that it no longer does. */
  #isBehind = false;
  #isEndSent = false;
  #isEndDelivered = false;
  /** Whether the peer went away before this end had sent all that it had to. */
  #isCut = false;
  #isAbandoned = false;
  /** Whether messages in regions are taken where they are. */
  takesRegions = false;
  /** Bytes of messages in regions since the last turn. */
  #copiedBytes = 0;
  /** Pulls since the last turn. */
  #pulls = 0;
  /** The last poll found nothing, and nothing changed since but, perhaps, the rings. */
  #isQuiet = false;
  /** The application's code threw within the last poll, which so has something left to do. */
  #isInterrupted = false;
  #isClosed = false;
  #error: Error | undefined;

  constructor(port: Port, limits: Limits) {
    this.port = port;
    this.limits = limits;
    this.answersEnd = !limits.allowHalfOpen;
    this.responder = new Responder({
      reply: (id, data) => this.#answer(TYPE.reply, id, data),
      // Who asked may take too little for it, and then learns just that.
      fail: (id, failure) => this.#answer(TYPE.failure, id, failure.length > port.peerMaxMessageSize ? '' : failure),
      handled: () => this.#handled(),
    });
    if (port.writer !== undefined) this.sender = new Sender(port.writer, (error) => this.finish(error as Error));
    if (port.reader !== undefined) this.receiver = new Receiver(port.reader, this, limits.maxMessageSize);
    this.lending = new Lending(port, limits.maxMessageSize, {
      release: (id) => this.#release(id),
      arrived: () => this.#resume(),
    });
    port.handler = this;
    this.#hearEarly();
    if (port.isPeerGone) this.peerGone();
    if (!this.#isClosed) port.activate();
  }

  set events(events: EndpointEvents) {
    this.#events = new WeakRef(events);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isEnding(): boolean {
    return this.#end !== undefined;
  }

  /** Why it closed, if not in order. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Takes each message, in private memory, as it comes. */
  set push(push: Intake['push']) {
    this.#intake.push = push;
    this.#wantMore();
  }

  /** Takes each message where it is, in the ring, for the time of the call. */
  set show(show: Intake['show']) {
    this.#intake.show = show;
    this.#wantMore();
  }

  get view(): Sink['view'] {
    return this.#intake.show === undefined ? undefined : this.#intake.callShow;
  }

  set handler(handler: Responder['handler']) {
    this.responder.handler = handler;
    this.#wantMore();
  }

  // --- sending

  /**
   * @returns as {@link Sender.send} does; false as well when the peer is gone, or broke the ring, and the
   *   message with it
   */
  send(type: FrameType, id: number, data: Uint8Array, done?: () => void): boolean {
    const { sender } = this;
    if (sender === undefined || this.#isClosed || this.port.isPeerGone) return false;
    try {
      const sent = sender.send(type, id, data, done);
      if (!sent) this.#isBehind = true;
      if (this.#isBehind) this.#wantMore();
      return sent;
    } catch (error) {
      this.finish(error as Error);
      return false;
    }
  }

  /** Sends a message with parts in regions. @returns resolves when none of it is in use at the other end */
  sendParts(parts: readonly Outgoing[]): Promise<void> {
    const { outbox } = this.lending;
    if (this.#isClosed || this.port.isPeerGone) {
      outbox.drop(parts);
      return Promise.resolve();
    }
    const { id, payload, released } = outbox.add(parts);
    this.send(TYPE.region, id, payload);
    return released;
  }

  /** Sends a message and publishes it, if that can be done at once. @returns whether it was */
  trySendNow(data: Uint8Array): boolean {
    const { sender } = this;
    if (sender === undefined || this.#isClosed || this.port.isPeerGone) return false;
    try {
      if (!sender.trySend(TYPE.message, 0, data)) return false;
    } catch (error) {
      this.finish(error as Error);
      return false;
    }
    sender.publish();
    return true;
  }

  /** As {@link Sender.reserve}; nothing as well when the peer is gone. */
  reserve(length: number): Buffer | undefined {
    const { sender } = this;
    if (sender === undefined || this.#isClosed || this.port.isPeerGone) return undefined;
    const slot = this.#guarded(() => sender.reserve(length));
    if (slot) return slot;
    this.#isBehind = true;
    this.#wantMore();
    return undefined;
  }

  /** Sends what was reserved; what came up meanwhile, a reply or the end, waited for this. */
  commit(length: number): void {
    this.sender?.commit(length);
    if (this.#isBehind) this.#wantMore();
  }

  /** Gives a reservation up, if there is one. */
  cancelReservation(): void {
    if (this.sender?.isReserved) this.sender.cancel();
    if (this.#isBehind) this.#wantMore();
  }

  request(data: Uint8Array, options: RequestOptions): Promise<Buffer> {
    const reply = this.requests.add(
      options,
      (id) => {
        if (this.port.isPeerGone || this.#isClosed || this.#isEndDelivered) throw this.#error ?? this.#reset();
        this.send(TYPE.request, id, data);
      },
      (id) => this.send(TYPE.cancel, id, NOTHING),
    );
    this.#wantMore();
    return reply;
  }

  /** Resolves when nothing waits for room any more. */
  drained(): Promise<void> {
    const broken = this.#whyBroken();
    if (broken !== undefined) return Promise.reject(broken);
    if (this.sender === undefined || this.sender.queued === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#drainWaiters.push({ resolve, reject }));
  }

  /** Sends the end after all that was sent before. Resolves when it is in the ring. */
  end(): Promise<void> {
    this.#end ??= this.#sendEnd();
    return this.#end;
  }

  // --- receiving without waiting for an event

  /** The next message, if there is one already: for blocking calls. */
  take(): Buffer | undefined {
    if (!this.#intake.isEmpty) return this.#intake.take();
    if (this.#isClosed || this.receiver === undefined) return undefined;
    this.receiver.isPooled = false;
    this.#copiedBytes = 0;
    const message = this.#takeOne() ?? this.#pull();
    this.receiver.isPooled = true;
    return message && privateCopy(message);
  }

  /** The next message, if there is one already and this turn has had no more than its share. */
  takeInTurn(): Item | undefined {
    if (!this.#intake.isEmpty) return this.#intake.takeItem();
    if (this.#isClosed || this.#pulls >= PULLS_A_TURN) return undefined;
    this.#pulls++;
    return this.#pull();
  }

  /** Whether no message waits to be taken. */
  get isEmpty(): boolean {
    return this.#intake.isEmpty;
  }

  /** Whether somebody waits for the next message. */
  get isAwaited(): boolean {
    return this.#intake.isAwaited;
  }

  /** Whether the end was received, and told. */
  get isEndDelivered(): boolean {
    return this.#isEndDelivered;
  }

  /** Whether all messages were taken, and no more will come. */
  get isDrained(): boolean {
    return this.#intake.isEmpty && (this.#isClosed || this.receiver === undefined || this.receiver.isEnded);
  }

  /** Gives the next message to `waiter` when it comes. */
  wait(waiter: Waiter): void {
    this.#intake.await(waiter);
    this.#wantMore();
  }

  /** Puts what waits into the ring, and publishes it: for blocking calls likewise. */
  flush(): void {
    this.#guarded(() => this.sender?.flush());
    this.sender?.publish();
  }

  /** Does what a turn of the domain would do: for blocking calls, whose event loop does not turn. */
  settle(): void {
    this.#deliver();
    this.#settle();
  }

  // --- PortHandler

  poll(): boolean {
    let worked = false;
    this.#pulls = 0;
    this.#copiedBytes = 0;
    try {
      if (this.#isQuiet && !this.#hasNews()) return false;
      if (this.receiver?.fill()) worked = true;
      if (this.#isWaitingForRoom() && this.sender?.flush()) worked = true;
    } catch (error) {
      this.finish(error as Error);
      worked = true;
    }
    // From here on the application's code runs, and what it throws is its own affair.
    this.#isQuiet = false;
    this.#isInterrupted = true;
    this.#intake.rethrow();
    if (this.#isBehind && this.sender?.queued === 0) this.#drain();
    if (this.#deliver()) worked = true;
    this.#settle();
    this.#isInterrupted = false;
    this.#isQuiet = !worked;
    return worked;
  }

  arm(): boolean {
    if (this.#isInterrupted) return false;
    this.#copiedBytes = 0;
    try {
      if (this.receiver !== undefined && !this.receiver.park('event')) return false;
      const isBlocked = this.#isWaitingForRoom();
      return !isBlocked || (this.sender as Sender).park('event');
    } catch (error) {
      this.finish(error as Error);
      return true;
    }
  }

  peerGone(): void {
    this.#isQuiet = false;
    this.lending.peerGone(this.#reset());
    const lost = this.sender?.close() ?? 0;
    const isSending = this.sender !== undefined && !this.#isEndSent;
    this.#isCut = lost > 0 || (isSending && (this.receiver === undefined || this.limits.allowHalfOpen));
    for (const { reject } of this.#drainWaiters.splice(0)) reject(systemError('EPIPE', 'write', 'the peer is gone'));
    if (this.receiver === undefined) this.finish(this.#isCut ? this.#reset() : undefined);
  }

  granted(said: GrantMessage): void {
    this.lending.hear(said);
  }

  // --- Sink: called while the ring is being read, so nothing here runs code of the application

  accepts(type: number): boolean {
    if (this.lending.inbox.isPending && (type === TYPE.message || type === TYPE.region || type === TYPE.end))
      return false;
    if (type === TYPE.region && !this.takesRegions && this.#copiedBytes >= COPIED_A_TURN) return false;
    if (type === TYPE.message || type === TYPE.region) return this.#intake.accepts(this.#isAwaited());
    if (type === TYPE.request) return this.#acceptsRequest();
    return true;
  }

  receive(type: number, id: number, data: Buffer): void {
    if (type === TYPE.message) this.#intake.add(data);
    else if (type === TYPE.region) this.#receiveRegion(this.lending.inbox.receive(id, data));
    else if (type === TYPE.release) this.#released(id);
    else if (type === TYPE.request) this.responder.add(id, data);
    else if (type === TYPE.reply || type === TYPE.failure) this.#settleRequest(type, id, data);
    else this.responder.cancel(id);
  }

  // --- closing

  /** Closes now: what is in the ring already can still be read at the other end, what waits for room is lost. */
  close(): void {
    this.#intake.clear();
    this.finish();
  }

  /** Nobody holds the channel any more: it ends once nobody waits for anything of it. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#settle();
  }

  /** The end of it all: lets go of the port, and tells everybody who waits. */
  finish(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    // Who still holds a reservation may write to its place: the ring must not serve another channel.
    if (this.sender?.isReserved) this.port.isPeerRingLost = true;
    this.sender?.close();
    this.receiver?.close();
    const reason = error ?? new ShmloopError('ERR_SHMLOOP_CLOSED', 'the channel is closed');
    this.lending.close(reason);
    this.port.release();
    this.requests.rejectAll(reason);
    this.responder.abortAll();
    for (const { reject } of this.#drainWaiters.splice(0)) reject(reason);
    this.#intake.end(error);
    // Later, as Node's own do: never from within the call that closed it.
    process.nextTick(() => {
      const events = this.#events?.deref();
      this.held = undefined;
      events?.closed(error);
    });
  }

  // --- private

  #hasNews(): boolean {
    const { receiver, sender } = this;
    if (receiver?.isReady()) return true;
    return sender !== undefined && sender.queued > 0 && sender.isReady();
  }

  #acceptsRequest(): boolean {
    const { handler, hasRoom } = this.responder;
    if (handler !== undefined) return hasRoom && (this.sender === undefined || this.sender.queuedBytes < MAX_REPLIES);
    // Whoever reads this channel without handling requests shall not be stuck behind one: it is refused.
    return this.#intake.isConsumed || this.requests.size > 0;
  }

  /** Whether somebody waits for what may come behind messages that nobody takes. */
  #isAwaited(): boolean {
    return this.responder.handler !== undefined || this.requests.size > 0 || this.lending.outbox.size > 0;
  }

  #hearEarly(): void {
    try {
      this.port.hearEarly();
    } catch (error) {
      this.finish(error as Error);
    }
  }

  #receiveRegion(message: RegionMessage | undefined): void {
    if (message === undefined) return;
    this.#copiedBytes += message.length;
    // Polling on within the turn would copy as much again.
    if (this.#copiedBytes >= COPIED_A_TURN) domain.yieldSoon();
    this.#intake.add(message);
  }

  /** A region came that a message waited for. */
  #resume(): void {
    try {
      this.#receiveRegion(this.lending.inbox.resume());
    } catch (error) {
      return this.finish(error as Error);
    }
    this.#wantMore();
  }

  /** The application needs a message in regions no more: the other end hears of it, also where nothing can be sent. */
  #release(id: number): void {
    if (this.sender === undefined || this.isEnding || this.#isClosed) this.port.tell({ kind: 'released', ring: id });
    else this.send(TYPE.release, id, NOTHING);
    if (this.#isEndDelivered) this.#settle();
  }

  #released(id: number): void {
    // Its last releases may be read after it is known to be gone, when all messages count as released.
    if (this.port.isPeerGone) return;
    this.lending.outbox.released(id);
    domain.yieldSoon();
  }

  #takeOne(): Buffer | undefined {
    if (this.lending.inbox.isPending) return undefined;
    try {
      return this.receiver?.takeOnly();
    } catch (error) {
      this.finish(error as Error);
      return undefined;
    }
  }

  /** Takes what there is, and gives the first message of it. */
  #pull(): Item | undefined {
    this.#intake.isPulling = true;
    try {
      this.receiver?.fill();
    } catch (error) {
      this.finish(error as Error);
    } finally {
      this.#intake.isPulling = false;
    }
    // The rest of what came with it is the next turn's.
    if (this.responder.isWaiting || this.receiver?.isEnded || this.#intake.isAwaited) this.#wantMore();
    if (this.#intake.isEmpty) this.#settle();
    return this.#intake.takeItem();
  }

  #drain(): void {
    this.#isBehind = false;
    // Requests may have been held up by the replies that waited.
    if (this.receiver?.isStalled) this.#wantMore();
    for (const { resolve } of this.#drainWaiters.splice(0)) resolve();
    domain.yieldSoon();
    this.#events?.deref()?.drained();
  }

  /** Gives to the application what was received. @returns whether there was anything */
  #deliver(): boolean {
    // What is awaited goes on when the turn is over, and so it should be soon.
    if (this.#intake.isAwaited || this.responder.isWaiting) domain.yieldSoon();
    const hasRun = this.responder.run();
    return this.#intake.deliver() || hasRun;
  }

  /** What follows from the state that the turn led to. */
  #settle(): void {
    if (this.#isClosed) return;
    const { receiver } = this;
    if (receiver?.isEnded && this.#intake.isEmpty && !this.#isEndDelivered) this.#deliverEnd();
    const isReceived = receiver === undefined || this.#isEndDelivered;
    const isAtWork = this.responder.running > 0 || this.lending.inbox.held > 0;
    if (isReceived && receiver !== undefined && this.answersEnd && !isAtWork) {
      this.end().catch(ignore);
    }
    if (isReceived && (this.sender === undefined || this.#isEndSent)) this.finish();
    else if (this.port.isPeerGone) this.#settleGone(isReceived);
    else if (this.#isAbandoned && !this.#isInUse()) this.end().then(() => this.close(), ignore);
  }

  /** The peer is gone: what it published is still there to be read, and then it is over. */
  #settleGone(isReceived: boolean): void {
    if (isReceived) return this.finish(this.#isCut ? this.#reset() : undefined);
    // The end is here, and comes after the messages that nobody has taken yet.
    if (this.receiver?.isEnded) return;
    if (this.lending.inbox.isPending) return this.finish(this.#reset());
    try {
      if (this.receiver?.isEmpty()) this.finish(this.#reset());
      else if (this.receiver?.isStalled) this.requests.rejectAll(this.#reset());
    } catch (error) {
      this.finish(error as Error);
    }
  }

  #deliverEnd(): void {
    this.#isEndDelivered = true;
    this.#intake.end();
    this.requests.rejectAll(this.#reset());
    this.#events?.deref()?.ended();
  }

  #settleRequest(type: number, id: number, data: Buffer): void {
    if (type === TYPE.reply) this.requests.resolve(id, data);
    else this.requests.reject(id, data);
    domain.yieldSoon();
  }

  /** What the peer breaks in the ring it breaks for this channel. */
  #guarded<T>(act: () => T): T | false {
    try {
      return act();
    } catch (error) {
      this.finish(error as Error);
      return false;
    }
  }

  #isInUse(): boolean {
    if (this.lending.isInUse) return true;
    return this.#intake.isConsumed || this.#isAwaited() || this.#drainWaiters.length > 0;
  }

  #isWaitingForRoom(): boolean {
    const { sender } = this;
    return sender !== undefined && sender.queued > 0 && !sender.isReserved && !this.#isClosed && !this.port.isPeerGone;
  }

  #wantMore(): void {
    this.#isQuiet = false;
    if (!this.#isClosed) this.port.activate();
  }

  #answer(type: FrameType, id: number, data: Uint8Array | string): void {
    const bytes = toBytes(data);
    if (bytes.length > this.port.peerMaxMessageSize) throw tooLarge(bytes.length, this.port.peerMaxMessageSize);
    this.send(type, id, bytes);
  }

  #handled(): void {
    if (this.#isEndDelivered) this.#settle();
    // Requests that found no room for their handlers may be waiting in the ring.
    else if (this.receiver?.isStalled) this.#wantMore();
  }

  #sendEnd(): Promise<void> {
    const { sender } = this;
    if (sender === undefined) return Promise.resolve();
    const broken = this.#whyBroken();
    if (broken !== undefined) return Promise.reject(broken);
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#isEndSent = true;
        const waiter = this.#drainWaiters.indexOf(unsent);
        if (waiter !== -1) this.#drainWaiters.splice(waiter, 1);
        // Not within the sender's own step.
        queueMicrotask(() => {
          sender.publish();
          resolve();
          this.#settle();
        });
      };
      const unsent = { resolve: () => undefined, reject };
      this.#drainWaiters.push(unsent);
      this.send(TYPE.end, 0, NOTHING, done);
    });
  }

  /** Why nothing can be sent any more, if so. */
  #whyBroken(): Error | undefined {
    if (this.#isClosed) return this.#error ?? new ShmloopError('ERR_SHMLOOP_CLOSED', 'the channel is closed');
    return this.port.isPeerGone ? systemError('EPIPE', 'write', 'the peer is gone') : undefined;
  }

  #reset(): Error {
    return systemError('ECONNRESET', 'read', 'the peer ended or closed the channel, or died');
  }
}

export function tooLarge(length: number, limit: number): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_MESSAGE_SIZE', `a message of ${length} bytes; the peer takes at most ${limit}`);
}

function ignore(): void {}
