import type { Direction } from './messages.js';
import type { Port } from './port.js';

/** What a bound name does with those who open channels to it. */
export interface Service {
  readonly direction: Direction;
  readonly ringSize: number;
  readonly maxMessageSize: number;
  /** Whether the backlog has room for one more. */
  hasRoom(): boolean;
  accepted(port: Port): void;
}

/** The names that this domain has bound. */
export const services = new Map<string, Service>();
