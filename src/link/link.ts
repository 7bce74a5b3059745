import { ShmloopError, systemError } from '../errors.js';
import { domain, EventCollector, EventNotifier, type Pollable } from '../event/index.js';
import { EVENTS } from '../layout.js';
import type { Region } from '../memory/index.js';
import { type Descriptor, native, type Poll } from '../native.js';
import type { ControlSocket } from './control-socket.js';
import { type Admission, type Credentials, type Identity, isOwnUser } from './credentials.js';
import { HotPorts } from './hot-ports.js';
import { type Direction, type Kind, type Message, type Reason, reasonError } from './messages.js';
import { Opens, type PendingOpen } from './opens.js';
import { type PeerRing, PeerRings } from './peer-rings.js';
import { Port, type PortLink } from './port.js';
import { type OwnRing, RingPool } from './ring-pool.js';
import { type Service, type Shared, services, topics } from './services.js';
import { turnShare } from './turn-share.js';

/** Doorbells in a row with no work behind them, after which the peer is cut off. */
const MAX_EMPTY_DOORBELLS = 1000;
/** Channels of a peer that wait for a decision, each with a descriptor perhaps. */
const MAX_UNDECIDED = 64;
/** Channels of a link that is over which hear of it at once. */
const ABANDONED_AT_ONCE = 8;
/** How long the side that dialed keeps a link without channels, in milliseconds. */
const LINGER = 1000;
/** The same after it told the peer something, which may take its time to answer. */
const TELL_LINGER = 5000;

/** What one side of a link brings into it: the events that it sleeps on, and the doorbell that it rings. */
export interface Bell {
  readonly region: Region;
  /** Its ringing end for this side's own bell, and where it rings for the peer's. */
  readonly doorbell: Descriptor;
}

export interface LinkParts {
  readonly control: ControlSocket;
  readonly peer: Identity;
  /** The peer's domain: random, unique. */
  readonly domainId: string;
  readonly own: Bell;
  readonly theirs: Bell;
  /** Called once, when it is over: in order, or because one end broke it or died. */
  readonly onGone: (isOrderly: boolean) => void;
  readonly isDialer: boolean;
}

export interface OpenOptions {
  direction: Direction;
  /** Bytes; a power of two. */
  ringSize: number;
  maxMessageSize: number;
  /** Whether the service may pass memory besides the ring. Default false. */
  takesShared?: boolean;
}

/**
 * Joins two domains: one control socket, one doorbell each way, any number of
 * channels. The socket's end is the peer's death.
 */
export class Link implements Pollable, PortLink {
  /** Who is at the other end, by the kernel's word. */
  readonly peer: Credentials;
  readonly #parts: LinkParts;
  readonly #control: ControlSocket;
  readonly #collector: EventCollector;
  readonly #notifier: EventNotifier;
  readonly #doorbellPoll: Poll;
  readonly #pool = new RingPool();
  readonly #peerRings = new PeerRings();
  readonly #ports: (Port | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #opens = new Opens(() => this.reference(-1));
  readonly #hot = new HotPorts();
  readonly #makeHot = (number: number): void => {
    const port = this.#ports[number];
    if (port !== undefined) this.#hot.add(port);
  };
  #references = 0;
  #used = 0;
  #emptyDoorbells = 0;
  #undecided = 0;
  #linger: NodeJS.Timeout | undefined;
  /** Said to be idle: it closes, unless the peer opens a channel before it hears. */
  #saidBye = false;
  #isClosed = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    const { pid, uid, gid } = parts.peer;
    this.peer = { pid, uid, gid };
    this.#control = parts.control;
    this.#collector = new EventCollector(parts.own.region);
    this.#notifier = new EventNotifier(parts.theirs.region, () => native().ringDoorbell(parts.own.doorbell));
    this.#doorbellPoll = domain.inOwnContext(
      () => new (native().Poll)(parts.theirs.doorbell, () => this.#onDoorbell()),
    );
    this.#doorbellPoll.unref();
    this.#control.unref();
    this.#control.handler = {
      received: (message, descriptors, areLost) => this.#onMessage(message, descriptors, areLost),
      ended: (error) => this.#close(error),
    };
    this.#control.resume();
    this.#doorbellPoll.start();
    this.#setIdle();
    // Asleep from the start; a notification that came before this is found at once.
    domain.activate(this);
  }

  get domainId(): string {
    return this.#parts.domainId;
  }

  isAdmitted(admits: Admission): boolean {
    return admits(this.#parts.peer);
  }

  /** Whether channels can be opened on it. */
  get isUsable(): boolean {
    return !this.#isClosed && !this.#saidBye;
  }

  get isReferenced(): boolean {
    return this.#references > 0;
  }

  /**
   * Opens a channel to a name that the peer's domain has bound.
   * @throws ECONNREFUSED when it has not, or its backlog is full; ERR_SHMLOOP_DIRECTION;
   *   ENOMEM, EMFILE, ENFILE as the kernel does; ECONNRESET when the link ends; ERR_SHMLOOP_TIMEOUT when the
   *   peer does not answer in time; the signal's reason
   */
  open(name: string, options: OpenOptions, signal?: AbortSignal): Promise<Port> {
    if (!this.isUsable) return Promise.reject(systemError('ECONNRESET', 'connect', name));
    return new Promise((resolve, reject) => {
      const { number, ring, descriptor } = this.#reserve(options.direction !== 'send', options.ringSize);
      this.#opens.add({ number, name, ring, takesShared: options.takesShared === true }, { resolve, reject }, signal);
      this.reference(1);
      this.#offer({ kind: 'open', port: number, text: name, ...options }, ring, descriptor);
    });
  }

  poll(): boolean {
    let worked = false;
    if (!this.#isClosed && this.#collector.isPending()) {
      this.#collector.collect(this.#makeHot);
      worked = this.#hot.length > 0;
    }
    if (this.#hot.poll()) worked = true;
    if (worked) this.#emptyDoorbells = 0;
    return worked;
  }

  sleep(): boolean {
    return this.#hot.arm() && (this.#isClosed || this.#collector.sleep());
  }

  notify(peerPort: number): void {
    if (!this.#isClosed) this.#notifier.notify(peerPort);
  }

  activate(port: Port): void {
    this.#hot.add(port);
    domain.activate(this);
  }

  /** Called by the port, once. */
  release(port: Port): void {
    port.isReleased = true;
    port.handler = undefined;
    this.#hot.remove(port);
    this.#control.send({ kind: 'closed', port: port.peerPort, reason: port.isPeerRingUsable ? 'none' : 'resources' });
    if (port.isPeerGone || this.#isClosed) this.#free(port);
  }

  reference(change: 1 | -1): void {
    this.#references += change;
    if (this.#isClosed) return;
    if (this.#references === 1 && change === 1) this.#control.ref();
    if (this.#references === 0) this.#control.unref();
  }

  /** What the kernel calls the two ends of the link, which no peer can choose; null where it does not tell. */
  inodes(): [own: number, peer: number] | null {
    return this.#control.inodes();
  }

  /** Says something outside of any channel, in order with what is said of channels: a topic and at most 500 characters. */
  tell(text: string): void {
    this.#control.send({ kind: 'tell', text });
    this.#setIdle(TELL_LINGER);
  }

  tellOfGrant(message: Partial<Message> & { kind: Kind }, descriptor?: Descriptor, sent?: () => void): void {
    if (this.#isClosed) return sent?.();
    this.#control.send(message, descriptor === undefined ? [] : [descriptor], sent);
  }

  /** Handles the control messages that wait: for a blocked thread, whose event loop does not. */
  pump(): void {
    this.#control.pump();
    if (this.#isClosed) turnShare.pump();
  }

  #onDoorbell(): void {
    // The peer is about to die, most likely: its control socket will tell.
    if (native().clearDoorbell(this.#parts.theirs.doorbell) === null) this.#doorbellPoll.stop();
    this.#collector.wake();
    this.#emptyDoorbells++;
    if (this.#emptyDoorbells > MAX_EMPTY_DOORBELLS) {
      this.#doorbellPoll.stop();
      const error = new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer rings its doorbell for nothing');
      return turnShare.wait(() => this.#close(error));
    }
    domain.wake(this);
  }

  #onMessage(message: Message, descriptors: Descriptor[], areLost: boolean): void {
    this.#opens.heard();
    try {
      switch (message.kind) {
        case 'open':
          return this.#onOpen(message, descriptors.shift(), areLost);
        case 'accept':
          return this.#onAccept(message, descriptors, areLost);
        case 'refuse':
          return this.#onRefuse(message);
        case 'closed':
          return this.#onClosed(this.#ports[message.port], message.reason === 'resources');
        case 'forget':
          return this.#peerRings.forget(message.ring);
        case 'bye':
          return this.#onBye();
        case 'tell':
          return this.#onTell(message.text);
        case 'map':
        case 'mapped':
        case 'unmapped':
        case 'revoked':
        case 'pass':
        case 'released':
          return this.#onGrant(message, descriptors.shift(), areLost);
        default:
          throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent ${message.kind} on an open link`);
      }
    } catch (error) {
      this.#close(error as Error);
    } finally {
      for (const descriptor of descriptors) descriptor.close();
    }
  }

  #onOpen(message: Message, descriptor: Descriptor | undefined, isLost: boolean): void {
    this.#saidBye = false;
    if (isLost) return this.#refuse(message, 'resources');
    if (this.#undecided === MAX_UNDECIDED) {
      descriptor?.close();
      return this.#refuse(message, 'refused');
    }
    const service = services.get(message.text);
    // Another user does not learn which names there are.
    const verdict = service?.admits?.(this.#parts.peer) ?? isOwnUser(this.peer);
    if (typeof verdict === 'boolean') this.#answerOpen(message, descriptor, service, verdict);
    else void this.#answerLater(message, descriptor, service, verdict);
  }

  async #answerLater(
    message: Message,
    descriptor: Descriptor | undefined,
    service: Service | undefined,
    verdict: Promise<boolean>,
  ): Promise<void> {
    this.#undecided++;
    const isAdmitted = await verdict;
    this.#undecided--;
    if (this.#isClosed) return descriptor?.close();
    const isBound = services.get(message.text) === service;
    try {
      this.#answerOpen(message, descriptor, isBound ? service : undefined, isAdmitted);
    } catch (error) {
      this.#close(error as Error);
    }
  }

  #answerOpen(
    message: Message,
    descriptor: Descriptor | undefined,
    service: Service | undefined,
    isAdmitted: boolean,
  ): void {
    this.#saidBye = false;
    const direction = service && agree(service.direction, message.direction);
    if (!isAdmitted || service === undefined || direction === undefined || !service.hasRoom()) {
      descriptor?.close();
      if (!isAdmitted) return this.#refuse(message, 'credentials');
      return this.#refuse(message, service !== undefined && direction === undefined ? 'direction' : 'refused');
    }
    const accepted = this.#accept(message, descriptor, direction, service);
    if (accepted === undefined) return this.#refuse(message, 'resources');
    const { port, descriptor: passed } = accepted;
    const { maxMessageSize } = service;
    this.#offer(
      { kind: 'accept', direction, port: message.port, peerPort: port.number, maxMessageSize },
      port.ring,
      passed,
      service.share?.(),
    );
    service.accepted(port);
  }

  #onTell(text: string): void {
    if (isOwnUser(this.peer)) topics.get(text.split(' ', 1)[0] as string)?.(this, text);
  }

  /** Makes this side of the channel, if there are the resources; a peer that broke the protocol is cut off. */
  #accept(message: Message, descriptor: Descriptor | undefined, direction: Direction, service: Service) {
    let peerRing: PeerRing | undefined;
    try {
      peerRing = this.#adoptRing(message, descriptor, direction !== 'receive');
      const own = this.#reserve(direction !== 'send', service.ringSize);
      const port = this.#addPort(own.number, own.ring);
      port.attach(message.port, message.maxMessageSize, peerRing);
      return { port, descriptor: own.descriptor };
    } catch (error) {
      if (error instanceof ShmloopError) throw error;
      if (peerRing !== undefined) peerRing.isUsed = false;
      return undefined;
    }
  }

  #onAccept(message: Message, descriptors: Descriptor[], isLost: boolean): void {
    const open = this.#takeOpen(message.port);
    // It comes last, with its text.
    const shared = open.takesShared && message.text !== '' ? descriptors.pop() : undefined;
    const descriptor = descriptors.shift();
    let { ring } = open;
    if (ring !== undefined && message.direction === 'receive') {
      // The peer did not want it, and has it mapped only if it served before.
      this.#freeRing(ring, false);
      ring = undefined;
    }
    const port = this.#addPort(message.port, ring);
    if (shared !== undefined) port.shared = { text: message.text, descriptor: shared };
    try {
      if (isLost) throw systemError('EMFILE', 'recvmsg', open.name);
      const peerRing = this.#adoptRing(message, descriptor, message.capacity !== 0);
      port.attach(message.peerPort, message.maxMessageSize, peerRing);
      if (open.isGivenUp) port.release();
      else open.settler.resolve(port);
    } catch (error) {
      // Out of mappings or descriptors: this channel fails. A peer that broke the protocol is cut off.
      port.attach(message.peerPort, 0, undefined);
      port.isPeerRingLost = true;
      port.release();
      open.settler.reject(error as Error);
      if (error instanceof ShmloopError) throw error;
    }
  }

  #onRefuse(message: Message): void {
    const open = this.#takeOpen(message.port);
    open.ring?.memory.region.retire();
    this.#giveNumber(message.port);
    open.settler.reject(reasonError(message.reason, open.name));
  }

  #adoptRing(message: Message, descriptor: Descriptor | undefined, isWanted: boolean): PeerRing | undefined {
    if (isWanted) return this.#peerRings.adopt(message.ring, message.capacity, descriptor);
    descriptor?.close();
    return undefined;
  }

  /**
   * Sends a message that names the ring this side receives on, and passes it if the peer has not seen it, and what
   * else there is to pass.
   */
  #offer(
    message: Partial<Message> & { kind: Kind },
    ring: OwnRing | undefined,
    descriptor: Descriptor | undefined,
    shared?: Shared,
  ): void {
    const fields = { ring: ring?.id ?? 0, capacity: ring?.memory.capacity ?? 0, ...(shared && { text: shared.text }) };
    const passed = [descriptor, shared?.descriptor].filter((one) => one !== undefined);
    this.#control.send({ ...message, ...fields }, passed, () => {
      descriptor?.close();
      shared?.sent();
    });
  }

  #onClosed(port: Port | undefined, isRingLost: boolean): void {
    if (port === undefined || port.isPeerGone) {
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer closed a channel that it does not have');
    }
    port.isPeerGone = true;
    port.isRingLost = isRingLost;
    if (port.isReleased) return this.#free(port);
    port.handler?.peerGone();
    if (!port.isReleased) this.activate(port);
  }

  #onGrant(message: Message, descriptor: Descriptor | undefined, isLost: boolean): void {
    const port = this.#ports[message.port];
    if (port === undefined || port.isPeerGone) {
      descriptor?.close();
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer speaks of a channel that it does not have');
    }
    port.hear({ message, descriptor, isLost });
  }

  /** The peer has no channels on this link. Neither have we: close. Else our `open` is on its way, and keeps it. */
  #onBye(): void {
    if (this.#used > 0) return;
    this.#control.send({ kind: 'bye' });
    this.#close(undefined, true);
  }

  #refuse(open: Message, reason: Reason): void {
    // Who asked lets go of the ring that it offered, too.
    this.#peerRings.forget(open.ring);
    this.#control.send({ kind: 'refuse', port: open.port, reason });
    this.#setIdle();
  }

  #takeOpen(number: number): PendingOpen {
    const open = this.#opens.take(number);
    if (!open.isGivenUp) this.reference(-1);
    return open;
  }

  #addPort(number: number, ring: OwnRing | undefined): Port {
    const port = new Port(this, number, ring);
    this.#ports[number] = port;
    port.ref();
    return port;
  }

  /** Both ends have let go: number and ring may serve again. */
  #free(port: Port): void {
    this.#ports[port.number] = undefined;
    if (port.peerRing !== undefined) port.peerRing.isUsed = false;
    if (port.ring !== undefined) this.#freeRing(port.ring, !this.#isClosed && !port.isRingLost);
    this.#giveNumber(port.number);
    port.onFreed?.();
  }

  #freeRing(ring: OwnRing, isReusable: boolean): void {
    if (isReusable && this.#pool.release(ring)) return;
    ring.memory.region.retire();
    this.#control.send({ kind: 'forget', ring: ring.id });
  }

  /** A number, and a ring if this side receives: both or, when it throws, neither. */
  #reserve(isReceiver: boolean, ringSize: number): { number: number; ring?: OwnRing; descriptor?: Descriptor } {
    const number = this.#takeNumber();
    try {
      return isReceiver ? { number, ...this.#pool.acquire(ringSize) } : { number };
    } catch (error) {
      this.#giveNumber(number);
      throw error;
    }
  }

  #takeNumber(): number {
    const number = this.#freeNumbers.pop() ?? this.#used;
    if (number >= EVENTS.maxChannels) {
      throw systemError('EMFILE', 'connect', `a link has at most ${EVENTS.maxChannels} channels`);
    }
    this.#used++;
    clearTimeout(this.#linger);
    return number;
  }

  #giveNumber(number: number): void {
    this.#freeNumbers.push(number);
    this.#used--;
    this.#setIdle();
  }

  #setIdle(linger = LINGER): void {
    if (this.#used > 0 || this.#isClosed || !this.#parts.isDialer) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      this.#saidBye = true;
      this.#control.send({ kind: 'bye' });
    }, linger);
    this.#linger.unref();
  }

  #close(error?: Error, isOrderly = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#linger);
    domain.deactivate(this);
    this.#control.close();
    this.#doorbellPoll.close();
    this.#parts.own.doorbell.close();
    this.#parts.theirs.doorbell.close();
    this.#parts.onGone(isOrderly);
    for (const { name, ring, settler } of this.#opens.takeAll()) {
      ring?.memory.region.retire();
      settler.reject(error ?? systemError('ECONNRESET', 'connect', name));
    }
    this.#pool.retire();
    this.#abandonAll(0, error);
  }

  /** From that number on, so many in a turn as leave time for the rest. */
  #abandonAll(from: number, error: Error | undefined): void {
    const to = from + ABANDONED_AT_ONCE;
    for (const port of this.#ports.slice(from, to)) this.#abandon(port, error);
    if (to < this.#ports.length) return turnShare.wait(() => this.#abandonAll(to, error));
    this.#peerRings.retire();
    this.#parts.own.region.retire();
    this.#parts.theirs.region.retire();
  }

  #abandon(port: Port | undefined, error: Error | undefined): void {
    if (port === undefined) return;
    port.isPeerGone = true;
    if (port.isReleased) return this.#free(port);
    port.handler?.peerGone(error);
    // It writes no more, and is not armed: the pages can go.
    if (port.peerRing !== undefined) this.#peerRings.drop(port.peerRing);
    // What the peer published before is still there to be read.
    if (!port.isReleased) this.activate(port);
  }
}

/** The direction of the acceptor's end, or nothing when the two do not fit. */
function agree(own: Direction, peer: Direction): Direction | undefined {
  const mirrored = { both: 'both', send: 'receive', receive: 'send', any: own } as const;
  const wanted = mirrored[peer];
  return own === 'any' || own === wanted ? wanted : undefined;
}
