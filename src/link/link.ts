import { ShmloopError, systemError } from '../errors.js';
import { domain, EventCollector, EventNotifier, type Pollable } from '../event/index.js';
import { EVENTS } from '../layout.js';
import { Region } from '../memory/index.js';
import { type Descriptor, native, type Poll } from '../native.js';
import { RingMemory, ringFileLength } from '../ring/index.js';
import type { ControlSocket } from './control-socket.js';
import type { Credentials } from './credentials.js';
import { type Direction, type Message, type Reason, reasonError } from './messages.js';
import { Port, type PortLink } from './port.js';
import { type OwnRing, RingPool } from './ring-pool.js';
import { services } from './services.js';

/** Ports polled without being notified: looking at more costs more than their notifications. */
const MAX_HOT = 8;
/** Looks without work after which a port is armed again. */
const MAX_QUIET = 1024;
/** Doorbells in a row with no work behind them, after which the peer is cut off. */
const MAX_EMPTY_DOORBELLS = 1000;
/** How long the side that dialed keeps a link without channels, in milliseconds. */
const LINGER = 1000;

/** One direction of a link's notifications: who sleeps on it owns both. */
export interface Bell {
  readonly region: Region;
  readonly doorbell: Descriptor;
}

export interface LinkParts {
  readonly control: ControlSocket;
  readonly peer: Credentials;
  /** The peer's domain: random, unique. */
  readonly domainId: string;
  readonly own: Bell;
  readonly theirs: Bell;
  /** Called once, when the link is no more to be used for new channels. */
  readonly onGone: (link: Link) => void;
  readonly isDialer: boolean;
}

export interface OpenOptions {
  direction: Direction;
  /** Bytes; a power of two. */
  ringSize: number;
  maxMessageSize: number;
}

interface PendingOpen {
  readonly name: string;
  readonly ring: OwnRing | undefined;
  resolve(port: Port): void;
  reject(error: Error): void;
}

/**
 * Joins two domains: one control socket, one doorbell each way, any number of
 * channels. The socket's end is the peer's death.
 */
export class Link implements Pollable, PortLink {
  readonly #parts: LinkParts;
  readonly #control: ControlSocket;
  readonly #collector: EventCollector;
  readonly #notifier: EventNotifier;
  readonly #doorbellPoll: Poll;
  readonly #pool = new RingPool();
  /** The peer's rings by its ids. */
  readonly #peerRings = new Map<number, RingMemory>();
  readonly #ports: (Port | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #opens = new Map<number, PendingOpen>();
  readonly #hot: Port[] = [];
  readonly #makeHot = (number: number): void => this.#heat(this.#ports[number]);
  #references = 0;
  #used = 0;
  #emptyDoorbells = 0;
  #linger: NodeJS.Timeout | undefined;
  /** Said to be idle: it closes, unless the peer opens a channel before it hears. */
  #saidBye = false;
  #isClosed = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#control = parts.control;
    this.#collector = new EventCollector(parts.own.region);
    this.#notifier = new EventNotifier(parts.theirs.region, () => native().ringDoorbell(parts.theirs.doorbell));
    this.#doorbellPoll = domain.inOwnContext(() => new (native().Poll)(parts.own.doorbell, () => this.#onDoorbell()));
    this.#doorbellPoll.unref();
    this.#control.unref();
    this.#control.handler = {
      received: (message, descriptors) => this.#onMessage(message, descriptors),
      ended: (error) => this.#close(error),
    };
    this.#control.resume();
    this.#doorbellPoll.start();
    this.#setIdle();
    // Asleep from the start; a notification that came before this is found at once.
    domain.activate(this);
  }

  get peer(): Credentials {
    return this.#parts.peer;
  }

  get domainId(): string {
    return this.#parts.domainId;
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
   *   ENOMEM, EMFILE, ENFILE as the kernel does; ECONNRESET when the link ends
   */
  open(name: string, options: OpenOptions): Promise<Port> {
    if (!this.isUsable) return Promise.reject(systemError('ECONNRESET', 'connect', name));
    return new Promise((resolve, reject) => {
      const isReceiver = options.direction !== 'send';
      const { ring, descriptor } = isReceiver ? this.#pool.acquire(options.ringSize) : {};
      const number = this.#takeNumber();
      this.#opens.set(number, { name, ring, resolve, reject });
      this.reference(1);
      this.#control.send(
        {
          kind: 'open',
          direction: options.direction,
          port: number,
          ...ringFields(ring),
          maxMessageSize: options.maxMessageSize,
          text: name,
        },
        descriptor === undefined ? [] : [descriptor],
        () => descriptor?.close(),
      );
    });
  }

  poll(): boolean {
    let worked = false;
    if (this.#collector.isPending()) {
      this.#collector.collect(this.#makeHot);
      worked = this.#hot.length > 0;
    }
    // Backwards: a port that is no longer hot is replaced by the last one.
    for (let i = this.#hot.length - 1; i >= 0; i--) {
      const port = this.#hot[i];
      if (port !== undefined && this.#pollPort(port)) worked = true;
    }
    if (worked) this.#emptyDoorbells = 0;
    return worked;
  }

  sleep(): boolean {
    for (let i = this.#hot.length - 1; i >= 0; i--) {
      const port = this.#hot[i] as Port;
      if (port.handler?.arm() ?? true) this.#cool(port);
    }
    if (this.#hot.length > 0) return false;
    return this.#collector.sleep();
  }

  notify(peerPort: number): void {
    if (!this.#isClosed) this.#notifier.notify(peerPort);
  }

  activate(port: Port): void {
    this.#heat(port);
    domain.activate(this);
  }

  /** Called by the port, once. */
  release(port: Port): void {
    port.isReleased = true;
    port.handler = undefined;
    this.#cool(port);
    this.#control.send({ kind: 'closed', port: port.peerPort });
    if (port.isPeerGone || this.#isClosed) this.#free(port);
  }

  reference(change: 1 | -1): void {
    this.#references += change;
    if (this.#isClosed) return;
    if (this.#references === 1 && change === 1) this.#control.ref();
    if (this.#references === 0) this.#control.unref();
  }

  /** Handles the control messages that wait: for a blocked thread, whose event loop does not. */
  pump(): void {
    this.#control.pump();
  }

  #pollPort(port: Port): boolean {
    if (port.handler?.poll()) {
      port.quiet = 0;
      return true;
    }
    const isQuiet = ++port.quiet > MAX_QUIET || this.#hot.length > MAX_HOT;
    if (isQuiet && (port.handler?.arm() ?? true)) this.#cool(port);
    return false;
  }

  #heat(port: Port | undefined): void {
    if (port === undefined || port.isHot || port.isReleased) return;
    port.isHot = true;
    port.quiet = 0;
    this.#hot.push(port);
  }

  #cool(port: Port): void {
    if (!port.isHot) return;
    port.isHot = false;
    const last = this.#hot.pop() as Port;
    if (last !== port) this.#hot[this.#hot.indexOf(port)] = last;
  }

  #onDoorbell(): void {
    native().clearDoorbell(this.#parts.own.doorbell);
    this.#collector.wake();
    this.#emptyDoorbells++;
    if (this.#emptyDoorbells > MAX_EMPTY_DOORBELLS) {
      this.#close(new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer rings its doorbell for nothing'));
      return;
    }
    domain.wake(this);
  }

  #onMessage(message: Message, descriptors: Descriptor[]): void {
    try {
      switch (message.kind) {
        case 'open':
          return this.#onOpen(message, descriptors.shift());
        case 'accept':
          return this.#onAccept(message, descriptors.shift());
        case 'refuse':
          return this.#takeOpen(message.port).reject(reasonError(message.reason, 'the name'));
        case 'closed':
          return this.#onClosed(this.#ports[message.port]);
        case 'forget':
          return this.#onForget(message.ring);
        case 'bye':
          return this.#onBye();
        default:
          throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent ${message.kind} on an open link`);
      }
    } catch (error) {
      this.#close(error as Error);
    } finally {
      for (const descriptor of descriptors) descriptor.close();
    }
  }

  #onOpen(message: Message, descriptor: Descriptor | undefined): void {
    this.#saidBye = false;
    const service = services.get(message.text);
    const direction = service && agree(service.direction, message.direction);
    if (service === undefined || direction === undefined || !service.hasRoom()) {
      descriptor?.close();
      return this.#refuse(message.port, service !== undefined && direction === undefined ? 'direction' : 'refused');
    }
    let own: { ring?: OwnRing; descriptor?: Descriptor } = {};
    let peerRing: RingMemory | undefined;
    try {
      if (direction !== 'receive') peerRing = this.#adoptRing(message, descriptor);
      else descriptor?.close();
      if (direction !== 'send') own = this.#pool.acquire(service.ringSize);
    } catch (error) {
      if (error instanceof ShmloopError) throw error;
      return this.#refuse(message.port, 'resources');
    }
    const port = this.#addPort(this.#takeNumber(), own.ring);
    port.attach(message.port, message.maxMessageSize, peerRing);
    this.#control.send(
      {
        kind: 'accept',
        direction,
        port: message.port,
        peerPort: port.number,
        ...ringFields(own.ring),
        maxMessageSize: service.maxMessageSize,
      },
      own.descriptor === undefined ? [] : [own.descriptor],
      () => own.descriptor?.close(),
    );
    service.accepted(port);
  }

  #onAccept(message: Message, descriptor: Descriptor | undefined): void {
    const open = this.#takeOpen(message.port, true);
    let ring = open.ring;
    if (ring !== undefined && message.direction === 'receive') {
      // The peer never mapped it, so it cannot be used for another channel.
      ring.memory.region.retire();
      ring = undefined;
    }
    const port = this.#addPort(message.port, ring);
    const peerRing = message.capacity === 0 ? undefined : this.#adoptForOpen(message, descriptor, open, port);
    if (message.capacity === 0) descriptor?.close();
    if (port.isReleased) return;
    port.attach(message.peerPort, message.maxMessageSize, peerRing);
    open.resolve(port);
  }

  /** A ring that cannot be mapped for want of resources fails the channel; a bad one fails the link. */
  #adoptForOpen(message: Message, descriptor: Descriptor | undefined, open: PendingOpen, port: Port) {
    try {
      return this.#adoptRing(message, descriptor);
    } catch (error) {
      port.attach(message.peerPort, 0, undefined);
      port.release();
      open.reject(error as Error);
      if (error instanceof ShmloopError) throw error;
      return undefined;
    }
  }

  #adoptRing(message: Message, descriptor: Descriptor | undefined): RingMemory {
    const known = this.#peerRings.get(message.ring);
    if (descriptor === undefined) {
      if (known === undefined || known.capacity !== message.capacity) {
        throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer named ring ${message.ring}, which it never passed`);
      }
      return known;
    }
    if (known !== undefined || message.capacity === 0) {
      descriptor.close();
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer passed ring ${message.ring} twice, or for nothing`);
    }
    const memory = new RingMemory(Region.adopt(descriptor, ringFileLength(message.capacity), 'ring'));
    this.#peerRings.set(message.ring, memory);
    return memory;
  }

  #onClosed(port: Port | undefined): void {
    if (port === undefined || port.isPeerGone) {
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer closed a channel that it does not have');
    }
    port.isPeerGone = true;
    if (port.isReleased) return this.#free(port);
    port.handler?.peerGone();
    if (!port.isReleased) this.activate(port);
  }

  #onForget(ring: number): void {
    this.#peerRings.get(ring)?.region.retire();
    this.#peerRings.delete(ring);
  }

  /** The peer has no channels on this link. Neither have we: close. Else our `open` is on its way, and keeps it. */
  #onBye(): void {
    if (this.#used > 0) return;
    this.#control.send({ kind: 'bye' });
    this.#close();
  }

  #refuse(port: number, reason: Reason): void {
    this.#control.send({ kind: 'refuse', port, reason });
  }

  #takeOpen(number: number, isKept = false): PendingOpen {
    const open = this.#opens.get(number);
    if (open === undefined) throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer answered what nobody asked');
    this.#opens.delete(number);
    this.reference(-1);
    if (!isKept) {
      open.ring?.memory.region.retire();
      this.#giveNumber(number);
    }
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
    if (port.ring !== undefined) {
      if (this.#isClosed) port.ring.memory.region.retire();
      else if (!this.#pool.release(port.ring)) this.#control.send({ kind: 'forget', ring: port.ring.id });
    }
    this.#giveNumber(port.number);
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

  #setIdle(): void {
    if (this.#used > 0 || this.#isClosed || !this.#parts.isDialer) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      this.#saidBye = true;
      this.#control.send({ kind: 'bye' });
    }, LINGER);
    this.#linger.unref();
  }

  #close(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#linger);
    domain.deactivate(this);
    this.#control.close();
    this.#doorbellPoll.close();
    this.#parts.own.doorbell.close();
    this.#parts.theirs.doorbell.close();
    this.#parts.onGone(this);
    for (const { name, ring, reject } of this.#opens.values()) {
      ring?.memory.region.retire();
      reject(error ?? systemError('ECONNRESET', 'connect', name));
    }
    this.#opens.clear();
    this.#pool.retire();
    for (const port of this.#ports.slice()) this.#abandon(port);
    // No port writes any more, and none is armed: the pages can go.
    for (const memory of this.#peerRings.values()) memory.region.retire();
    this.#parts.own.region.retire();
    this.#parts.theirs.region.retire();
  }

  #abandon(port: Port | undefined): void {
    if (port === undefined) return;
    port.isPeerGone = true;
    if (port.isReleased) this.#free(port);
    else port.handler?.peerGone();
  }
}

function ringFields(ring: OwnRing | undefined): { ring: number; capacity: number } {
  return { ring: ring?.id ?? 0, capacity: ring?.memory.capacity ?? 0 };
}

/** The direction of the acceptor's end, or nothing when the two do not fit. */
function agree(own: Direction, peer: Direction): Direction | undefined {
  const mirrored = { both: 'both', send: 'receive', receive: 'send', any: own } as const;
  const wanted = mirrored[peer];
  return own === 'any' || own === wanted ? wanted : undefined;
}
