import type { Descriptor } from '../native.js';
import type { Identity } from './credentials.js';
import type { Link } from './link.js';
import type { Direction } from './messages.js';
import type { Port } from './port.js';

/** Memory that a service passes, and what there is to know of it. */
export interface Shared {
  /** Not empty; at most 512 characters. */
  readonly text: string;
  /** Stays the service's, and must be open until {@link sent}. */
  readonly descriptor: Descriptor;
  sent(): void;
}

/** What a bound name does with those who open channels to it. */
export interface Service {
  /** As its own end sees it. */
  readonly direction: Direction;
  /** Bytes of the rings that it receives on. */
  readonly ringSize: number;
  /** The largest message that it receives, in bytes. */
  readonly maxMessageSize: number;
  /**
   * Whether the peer may open a channel: without it, who is of this user. A promise never rejects. Runs no code of the
   * application before it returns.
   */
  admits?(peer: Identity): boolean | Promise<boolean>;
  /** Whether the backlog has room for one more. */
  hasRoom(): boolean;
  /** What goes to who opens, besides the ring. */
  share?(): Shared;
  /** Takes the port of a channel that was opened. Runs no code of the application. */
  accepted(port: Port): void;
}

/** The names that this domain has bound. */
export const services = new Map<string, Service>();

/**
 * What hears the texts that peers of this user send outside of any channel, by topic: their first word. It checks them
 * itself, and must not throw.
 */
export const topics = new Map<string, (link: Link, text: string) => void>();
