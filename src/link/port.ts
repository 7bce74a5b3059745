import type { Descriptor } from '../native.js';
import { RingReader, RingWriter } from '../ring/index.js';
import type { Credentials } from './credentials.js';
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
}

/** What a port needs of its link. */
export interface PortLink {
  readonly peer: Credentials;
  notify(peerPort: number): void;
  activate(port: Port): void;
  release(port: Port): void;
  reference(change: 1 | -1): void;
  pump(): void;
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
  /** Turns in a row without work. */
  quiet = 0;
  isPeerGone = false;
  isReleased = false;
  /** The peer has no resources for {@link ring}, and does not know it. */
  isRingLost = false;
  /** This side has none for the peer's. */
  isPeerRingLost = false;
  #isReferenced = false;

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

  /** Lets go of both rings; the handler is not called again. */
  release(): void {
    if (this.isReleased) return;
    this.unref();
    this.shared?.descriptor.close();
    this.link.release(this);
  }

  ref(): void {
    if (this.#isReferenced || this.isReleased) return;
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
