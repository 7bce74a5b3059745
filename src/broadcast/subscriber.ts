import type { Port, PortHandler } from '../link/index.js';
import { type Ending, WriterCursor } from './cursor.js';

/** What the publisher does when one of its subscriptions stirs. */
export interface SubscriberEvents {
  /** It may have read something. @returns whether anything came of it */
  stirred(): boolean;
  left(subscriber: Subscriber): void;
}

/** A subscription, as its publisher has it. */
export class Subscriber implements PortHandler {
  readonly port: Port;
  readonly cursor: WriterCursor;
  readonly #events: SubscriberEvents;

  /** @param start the position that it joins at */
  constructor(port: Port, start: number, events: SubscriberEvents) {
    this.port = port;
    // The ring that this side receives on: every port of a publisher has one.
    const { control } = (port.ring as NonNullable<Port['ring']>).memory;
    this.cursor = new WriterCursor(control, start);
    this.#events = events;
    port.handler = this;
  }

  poll(): boolean {
    return this.#events.stirred();
  }

  arm(): boolean {
    return true;
  }

  peerGone(): void {
    this.#events.left(this);
  }

  /** Wakes the reader, if it sleeps. */
  wake(): void {
    if (this.cursor.wake()) this.port.link.notify(this.port.peerPort);
  }

  /** Lets go of it. */
  end(ending: Ending): void {
    if (!this.port.isPeerGone) this.cursor.end(ending);
    this.port.release();
  }
}
