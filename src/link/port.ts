import { ShmloopError } from '../errors.js';
import type { Descriptor } from '../native.js';
import { RingReader, RingWriter } from '../ring/index.js';
import type { Credentials } from './credentials.js';
import type { Kind, Message } from './messages.js';
import type { PeerRing } from './peer-rings.js';
import type { OwnRing } from './ring-pool.js';

/** What a port tells the channel that uses it. */
export interface PortHandler {
  /** Does a bounded amount of work. @returns whether there was any */
  poll(): boolean;
  /** Arms the rings. @returns false when there is something to do after all */
  arm(): boolean;
  /**
   * The other end let go, or its domain died: nothing more comes but what is in the ring.
   * @param error when this side closed the link because of it
   */
  peerGone(error?: Error): void;
  /**
   * The other end says something of its grants, or of those that it uses; takes the descriptor. What it throws
   * ends the link.
   */
  granted?(said: GrantMessage): void;
}

/** What one end of a channel says to the other about memory. */
export interface GrantMessage {
  readonly message: Message;
  readonly descriptor: Descriptor | undefined;
  /** There was one, and this process could not take it (EMFILE). */
  readonly isLost: boolean;
}

/**
 * What may come of grants before the channel is there to hear it: that is within the same turn, in which a peer may
 * pass, and take back, all that it can over a link.
 */
const MAX_EARLY = 2048;

/** What a port needs of its link. */
export interface PortLink {
  readonly peer: Credentials;
  notify(peerPort: number): void;
  activate(port: Port): void;
  release(port: Port): void;
  reference(change: 1 | -1): void;
  pump(): void;
  /** @param sent is called once the descriptor is not needed any more */
  tellOfGrant(message: Partial<Message> & { kind: Kind }, descriptor?: Descriptor, sent?: () => void): void;
}

/**
 * One end of a channel on a link: at most one ring each way, and the event
 * channel that serves both.
 */
export class Port {
  readonly reader: RingReader | undefined;
  writer: RingWriter | undefined;
  peerRing: PeerRing | undefined;
  peerPort = 0;
  /** The largest message that the peer takes. */
  peerMaxMessageSize = 0;
  /** What the service behind it passed, besides the ring; its descriptor goes with the port, unless it is taken. */
  shared: { readonly text: string; readonly descriptor: Descriptor } | undefined;
  handler: PortHandler | undefined;
  /** Whether it is polled without being notified. */
  isHot = false;
  /** Whether it has not been polled since it was last asked for. */
  isDue = false;
  /** Turns in a row without work. */
  quiet = 0;
  isPeerGone = false;
  isReleased = false;
  /** The peer has no resources for {@link ring}, and does not know it. */
  isRingLost = false;
  /** This side has none for the peer's. */
  isPeerRingLost = false;
  #isReferenced = false;
  /** Called when both ends have let go: nothing of this channel is in use any more. */
  onFreed: (() => void) | undefined;
  /** As the handler's `granted`, once this end has let go and the other has not. */
  grantedLate: PortHandler['granted'];
  #early: GrantMessage[] = [];
  #holds = 0;
  #isLeaving = false;

  constructor(
    readonly link: PortLink,
    readonly number: number,
    readonly ring: OwnRing | undefined,
  ) {
    if (ring !== undefined) this.reader = new RingReader(ring.memory, this.#notify);
  }

  /** The peer's ring, and its end: known when both have agreed. */
  attach(peerPort: number, peerMaxMessageSize: number, peerRing: PeerRing | undefined): void {
    this.peerPort = peerPort;
    this.peerMaxMessageSize = peerMaxMessageSize;
    this.peerRing = peerRing;
    if (peerRing !== undefined) this.writer = new RingWriter(peerRing.memory, this.#notify);
  }

  /** Asks to be polled from the next turn on. */
  activate(): void {
    this.link.activate(this);
  }

  /** Whether another channel can write the peer's ring: its memory is here, and nobody else's. */
  get isPeerRingUsable(): boolean {
    return !this.isPeerRingLost && this.peerRing?.memory.region.isTaken !== true;
  }

  /** Lets go of both rings, once nothing {@link hold}s them; the handler is not called again. */
  release(): void {
    if (this.isReleased || this.#isLeaving) return;
    this.unref();
    this.handler = undefined;
    this.#isLeaving = true;
    this.shared?.descriptor.close();
    for (const { descriptor } of this.#early.splice(0)) descriptor?.close();
    if (this.#holds === 0) this.link.release(this);
  }

  /** Memory of the peer is in use here: it shall not hear that this end has let go. */
  hold(): void {
    this.#holds++;
  }

  /** Takes a {@link hold} back. */
  unhold(): void {
    if (--this.#holds === 0 && this.#isLeaving) this.link.release(this);
  }

  /** Says something of grants to the other end, unless this one has let go. @param sent as the link has it */
  tell(message: Partial<Message> & { kind: Kind }, descriptor?: Descriptor, sent?: () => void): void {
    if (this.isReleased) sent?.();
    else this.link.tellOfGrant({ ...message, port: this.peerPort }, descriptor, sent);
  }

  /** Takes what the other end says of grants, and the descriptor. @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION */
  hear(said: GrantMessage): void {
    if (this.isReleased || this.#isLeaving) {
      if (this.grantedLate !== undefined) return this.grantedLate(said);
      return said.descriptor?.close();
    }
    if (this.handler !== undefined) {
      if (this.handler.granted !== undefined) return this.handler.granted(said);
      said.descriptor?.close();
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer speaks of grants where there are none');
    }
    this.#early.push(said);
    if (this.#early.length > MAX_EARLY) {
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer passes more memory than can wait');
    }
  }

  /** Hands over what was heard before there was a handler. @throws as {@link hear} */
  hearEarly(): void {
    for (let said = this.#early.shift(); said !== undefined; said = this.#early.shift()) this.hear(said);
  }

  ref(): void {
    if (this.#isReferenced || this.isReleased || this.#isLeaving) return;
    this.#isReferenced = true;
    this.link.reference(1);
  }

  unref(): void {
    if (!this.#isReferenced) return;
    this.#isReferenced = false;
    this.link.reference(-1);
  }

  readonly #notify = (): void => this.link.notify(this.peerPort);
}
