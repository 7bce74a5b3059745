import { ShmloopError, systemError } from '../errors.js';
import { domain } from '../event/index.js';
import type { GrantMessage, Port, PortHandler } from '../link/index.js';
import { toBytes } from './bytes.js';
import { Copier } from './copier.js';
import { type FrameType, TYPE } from './framing.js';
import { Intake, type Waiter } from './intake.js';
import { Lending } from './lending.js';
import type { Limits } from './limits.js';
import { Outlet, tooLarge } from './outlet.js';
import type { Outgoing } from './parts.js';
import { Receiver, type Sink } from './receiver.js';
import { type Item, privateCopy, type RegionMessage } from './region-message.js';
import { type RequestOptions, Requests } from './requests.js';
import { Responder } from './responder.js';

const NOTHING = new Uint8Array(0);
/** Who pulls message by message without a turn of the event loop in between would starve all others. */
const PULLS_A_TURN = 4;
/** Bytes that may wait to be sent while further requests are handled. */
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
  readonly outlet: Outlet;
  readonly receiver: Receiver | undefined;
  readonly requests = new Requests({
    send: (id, data) => this.#ask(id, data),
    cancel: (id) => this.outlet.send(TYPE.cancel, id, NOTHING),
  });
  readonly responder: Responder;
  readonly lending: Lending;
  /** Whether it ends by itself when the peer has ended. */
  answersEnd: boolean;
  readonly #intake = new Intake();
  #events: WeakRef<EndpointEvents> | undefined;
  #held: EndpointEvents | undefined;
  #isEndDelivered = false;
  /** Whether the peer went away before this end had sent all that it had to. */
  #isCut = false;
  #isAbandoned = false;
  #isTaken = false;
  /** Messages of a peer that is gone are all set aside; what stands for more than its own bytes is not. */
  #takesAll = false;
  /** Whether messages in regions are taken where they are. */
  takesRegions = false;
  /** Loops over the messages that have one, and did not ask for the next yet: they may still send, whatever the peer does. */
  #loops = 0;
  readonly #copier = new Copier();
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
      hasRoom: () => (this.outlet.sender?.queuedBytes ?? 0) < MAX_REPLIES,
      reply: (id, data) => this.#answer(TYPE.reply, id, data),
      // Who asked may take too little for it, and then learns just that.
      fail: (id, failure) => this.#answer(TYPE.failure, id, failure.length > port.peerMaxMessageSize ? '' : failure),
      handled: () => this.#handled(),
    });
    this.outlet = new Outlet(port, {
      finish: (error) => this.finish(error),
      wantMore: () => this.#wantMore(),
      endSent: () => this.#settle(),
    });
    if (port.reader !== undefined) this.receiver = new Receiver(port.reader, this, limits.maxMessageSize);
    this.lending = new Lending(port, limits.maxMessageSize, {
      release: (id) => this.#release(id),
      arrived: () => this.#resume(),
      releasesHaveRoom: () => this.#lookAgain(),
    });
    port.handler = this;
    this.#hearEarly();
    if (port.isPeerGone) this.peerGone();
    if (!this.#isClosed) port.activate();
  }

  set events(events: EndpointEvents) {
    this.#events = new WeakRef(events);
  }

  /** Keeps the channel while it has listeners. */
  set held(held: EndpointEvents | undefined) {
    this.#held = held;
    if (this.port.isPeerGone) this.#wantMore();
  }

  /** Whether the application takes messages in some way. */
  set isTaken(isTaken: boolean) {
    this.#isTaken = isTaken;
    if (this.port.isPeerGone) this.#wantMore();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Why it closed, if not in order. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Takes each message, in private memory, as it comes. */
  set push(push: Intake['push']) {
    this.#intake.push = push;
    this.#takerChanged();
  }

  /** Takes each message where it is, in the ring, for the time of the call. */
  set show(show: Intake['show']) {
    this.#intake.show = show;
    this.#takerChanged();
  }

  get view(): Sink['view'] {
    return this.#intake.show === undefined ? undefined : this.#intake.callShow;
  }

  set handler(handler: Responder['handler']) {
    this.responder.handler = handler;
    this.#wantMore();
  }

  // --- sending

  /** Sends a message with parts in regions. @returns resolves when none of it is in use at the other end */
  sendParts(parts: readonly Outgoing[]): Promise<void> {
    const { outbox } = this.lending;
    if (this.#isClosed || this.port.isPeerGone) {
      outbox.drop(parts);
      return Promise.resolve();
    }
    const { id, payload, released } = outbox.add(parts);
    this.outlet.send(TYPE.region, id, payload);
    return released;
  }

  request(data: Uint8Array, options: RequestOptions): Promise<Buffer> {
    const reply = this.requests.add(data, options);
    this.#wantMore();
    return reply;
  }

  /** Ends this side, after the requests that wait for their turn. Resolves when that is in the ring. */
  end(): Promise<void> {
    return this.requests.allSent()?.then(() => this.outlet.end()) ?? this.outlet.end();
  }

  // --- receiving without waiting for an event

  /** The next message, if there is one already: for blocking calls. */
  take(): Buffer | undefined {
    if (!this.#intake.isEmpty) return this.#intake.take();
    if (this.#isClosed || this.receiver === undefined) return undefined;
    this.receiver.isPooled = false;
    this.#copier.newTurn();
    this.#lookAgain();
    const message = this.#takeOne() ?? this.#pull() ?? this.#copier.finish();
    this.receiver.isPooled = true;
    return message && privateCopy(message);
  }

  /** The next message, if there is one already and this turn has had no more than its share. */
  takeInTurn(): Item | undefined {
    if (!this.#intake.isEmpty) {
      const item = this.#intake.takeItem();
      // The end, which came with it, waited for this.
      if (this.#intake.isEmpty && this.receiver?.isEnded) this.#wantMore();
      return item;
    }
    if (this.#isClosed || this.#pulls >= PULLS_A_TURN) return undefined;
    this.#pulls++;
    this.#lookAgain();
    return this.#pull();
  }

  /** A loop has a message, or asks for the next one. */
  loopChanged(change: 1 | -1): void {
    this.#loops += change;
    if (this.#loops === 0 && this.#isEndDelivered) this.#wantMore();
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
    return (
      this.#intake.isEmpty &&
      !this.#copier.isBusy &&
      (this.#isClosed || this.receiver === undefined || this.receiver.isEnded)
    );
  }

  /** Gives the next message to `waiter` when it comes. */
  wait(waiter: Waiter): void {
    this.#intake.await(waiter);
    this.#wantMore();
  }

  /** Gives it nothing after all. */
  forget(waiter: Waiter): void {
    this.#intake.forget(waiter);
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
    this.#copier.newTurn();
    try {
      if (this.#isQuiet && !this.#hasNews()) return false;
      if (this.#copyOn()) worked = true;
      if (this.receiver?.fill()) worked = true;
      if (this.outlet.advance()) worked = true;
    } catch (error) {
      this.finish(error as Error);
      worked = true;
    }
    // From here on the application's code runs, and what it throws is its own affair.
    this.#isQuiet = false;
    this.#isInterrupted = true;
    this.#intake.rethrow();
    if (this.outlet.catchUp()) this.#drained();
    if (this.#deliver()) worked = true;
    this.#settle();
    this.#isInterrupted = false;
    this.#isQuiet = !worked;
    return worked;
  }

  arm(): boolean {
    if (this.#isInterrupted || this.#copier.isBusy) return false;
    this.#copier.newTurn();
    try {
      if (this.receiver !== undefined && !this.receiver.park('event')) return false;
      return this.outlet.arm();
    } catch (error) {
      this.finish(error as Error);
      return true;
    }
  }

  peerGone(): void {
    this.#isQuiet = false;
    this.lending.peerGone(this.#reset());
    const lost = this.outlet.peerGone();
    this.#isCut = lost > 0 || (!this.outlet.isEnded && (this.receiver === undefined || this.limits.allowHalfOpen));
    if (this.receiver === undefined) this.finish(this.#isCut ? this.#reset() : undefined);
  }

  granted(said: GrantMessage): void {
    this.lending.hear(said);
    // It may be all that an abandoned channel was still in use for.
    if (this.#isAbandoned) this.#wantMore();
  }

  // --- Sink: called while the ring is being read, so nothing here runs code of the application

  accepts(type: number): boolean {
    if (this.#isBehind && (type === TYPE.message || type === TYPE.region || type === TYPE.end)) return false;
    if (type === TYPE.region && !this.#acceptsRegion()) return false;
    if (type === TYPE.message && this.#takesAll) return true;
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
    this.#dropReceived();
    this.finish();
  }

  /** Nobody holds the channel any more: it ends once nobody waits for anything of it. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#dropReceived();
    this.#settle();
  }

  /** The end of it all: lets go of the port, and tells everybody who waits. */
  finish(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    const reason = error ?? new ShmloopError('ERR_SHMLOOP_CLOSED', 'the channel is closed');
    this.outlet.close(reason);
    this.receiver?.close();
    this.lending.close(reason);
    this.port.release();
    this.requests.rejectAll(reason);
    this.responder.abortAll();
    this.#intake.end();
    // Later, as Node's own do: never from within the call that closed it.
    process.nextTick(() => {
      const events = this.#events?.deref();
      this.#held = undefined;
      events?.closed(error);
    });
  }

  // --- private

  #hasNews(): boolean {
    return this.receiver?.isReady() === true || this.outlet.hasRoom();
  }

  #dropReceived(): void {
    this.#intake.clear();
    this.#copier.drop();
  }

  /** Whether a message that was received is not there yet: messages that come behind it wait. */
  get #isBehind(): boolean {
    return this.lending.inbox.isPending || this.#copier.isBusy;
  }

  #acceptsRegion(): boolean {
    return this.lending.releases.hasRoom && (this.takesRegions || this.#copier.hasRoom);
  }

  #acceptsRequest(): boolean {
    if (this.responder.handler !== undefined) return true;
    // Whoever reads this channel without handling requests shall not be stuck behind one: it is refused.
    return this.#intake.isConsumed || this.#takesAll || this.requests.size > 0;
  }

  /** Whether somebody waits for what may come behind messages that nobody takes. */
  #isAwaited(): boolean {
    return this.responder.handler !== undefined || this.requests.size > 0;
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
    if (!this.takesRegions && !this.#copier.admits(message)) return;
    // Polling on within the turn would copy as much again.
    if (!this.#copier.hasRoom) domain.yieldSoon();
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

  /**
   * The application needs a message in regions no more, and the other end hears of it: by the ring only where it is
   * not held up there. Two ends that leave each other's messages until they get their memory back would wait for ever.
   */
  #release(id: number): void {
    if (this.outlet.isHeldUp()) this.lending.releases.add(id);
    else this.outlet.send(TYPE.release, id, NOTHING);
    // Not at once: who releases a message may be about to send what came of it.
    if (this.#isEndDelivered) this.#wantMore();
  }

  #released(id: number): void {
    // Its last releases may be read after it is known to be gone, when all messages count as released.
    if (this.port.isPeerGone) return;
    this.lending.outbox.released(id);
    domain.yieldSoon();
  }

  /** @returns whether there was something to copy */
  #copyOn(): boolean {
    if (!this.#copier.isBusy) return false;
    const copy = this.#copier.advance();
    if (copy !== undefined) this.#intake.add(copy);
    domain.yieldSoon();
    return true;
  }

  #takeOne(): Buffer | undefined {
    if (this.#isBehind) return undefined;
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

  #drained(): void {
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
    const isAtWork = this.#loops > 0 || this.responder.running > 0 || this.lending.inbox.held > 0;
    if (isReceived && receiver !== undefined && this.answersEnd && !isAtWork) {
      this.outlet.end().catch(ignore);
    }
    if (isReceived && this.outlet.isEnded) this.finish();
    else if (this.port.isPeerGone) this.#settleGone(isReceived);
    else if (this.#isAbandoned && !this.#isInUse()) this.outlet.end().then(() => this.close(), ignore);
  }

  /** The peer is gone: what it published is still there to be read, and then it is over. */
  #settleGone(isReceived: boolean): void {
    if (isReceived) return this.finish(this.#isCut ? this.#reset() : undefined);
    if (this.#isAbandoned && !this.#isInUse()) return this.finish();
    if (this.receiver?.isEnded) return this.#endUntaken();
    if (this.#isOnlyWatched && this.receiver?.isStalled && !this.#takesAll) return this.#setAside();
    if (this.#copier.isBusy) return this.#wantMore();
    if (this.lending.inbox.isPending) return this.finish(this.#reset());
    try {
      if (this.receiver?.isEmpty()) this.finish(this.#reset());
      else if (this.receiver?.isStalled) this.requests.rejectAll(this.#reset());
    } catch (error) {
      this.finish(error as Error);
    }
  }

  /** Whether nobody takes messages, and yet somebody is to hear of the channel's end: a listener, or handlers. */
  get #isOnlyWatched(): boolean {
    return !this.#isTaken && (this.#held !== undefined || this.responder.handler !== undefined);
  }

  /** So that the rings of a peer that is gone do not stay for as long as nobody takes what it sent. */
  #setAside(): void {
    this.#takesAll = true;
    this.#wantMore();
  }

  /** The end is here, and comes after messages that nobody has taken yet: they can be taken still, and nothing else. */
  #endUntaken(): void {
    this.requests.rejectAll(this.#reset());
    this.responder.abortAll();
    if (this.#isOnlyWatched) this.finish(this.#isCut ? this.#reset() : undefined);
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

  #isInUse(): boolean {
    if (this.lending.isInUse) return true;
    return this.#intake.isConsumed || this.#isAwaited() || this.outlet.isAwaited;
  }

  #takerChanged(): void {
    if (this.#isClosed) process.nextTick(() => this.#deliverLate());
    else this.#wantMore();
  }

  /** What was received and not taken when the channel closed is still for who takes it later. */
  #deliverLate(): void {
    try {
      this.#intake.deliver();
    } finally {
      if (!this.#intake.isEmpty && this.#intake.isConsumed) process.nextTick(() => this.#deliverLate());
    }
  }

  #wantMore(): void {
    this.#isQuiet = false;
    if (!this.#isClosed) this.port.activate();
  }

  /** What holds up the reader, which is not parked meanwhile, is gone, or about to go. */
  #lookAgain(): void {
    if (this.receiver?.isStalled) this.#wantMore();
  }

  #ask(id: number, data: Uint8Array): void {
    if (this.port.isPeerGone) throw this.#reset();
    this.outlet.send(TYPE.request, id, data);
  }

  #answer(type: FrameType, id: number, data: Uint8Array | string): void {
    const bytes = toBytes(data);
    if (bytes.length > this.port.peerMaxMessageSize) throw tooLarge(bytes.length, this.port.peerMaxMessageSize);
    this.outlet.send(type, id, bytes);
  }

  #handled(): void {
    if (this.#isEndDelivered) this.#settle();
  }

  #reset(): Error {
    return systemError('ECONNRESET', 'read', 'the peer ended or closed the channel, or died');
  }
}

function ignore(): void {}
