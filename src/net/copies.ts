import net, { type Socket } from 'node:net';
import type { NetSettings } from './settings.js';
import type { Transport } from './transport.js';

/** What the copy of this package that replaces Node's methods does for all others in its thread, of whatever version. */
export interface Copy {
  transportOf(socket: Socket): Transport;
  changeSettings(changes: Partial<NetSettings>): void;
}

/** On a module that all realms of a thread share, as test runners make them. */
const kCopy = Symbol.for('shmloop/net');

/** The copy that was first, if any was. */
export function workingCopy(): Copy | undefined {
  return (net as { [kCopy]?: Copy })[kCopy];
}

/** @returns whether this copy is the first, and does the work */
export function claimWork(copy: Copy): boolean {
  if (workingCopy() !== undefined) return false;
  Object.defineProperty(net, kCopy, { value: copy });
  return true;
}
