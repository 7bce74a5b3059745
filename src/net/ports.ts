import { codeOf } from '../errors.js';
import { dialAbstract, type Link, Listener } from '../link/index.js';
import { observe } from './observe.js';
import { type Reason, reasonOfError } from './reasons.js';

/** Names of listening domains are looked for until so many in a row are free: those between may have ended. */
const MAX_GAP = 4;
const MAX_NAMES = 256;
/** Reasons for which there is no link, although there may be a peer. */
const OWN: readonly Reason[] = ['rejected', 'memory', 'descriptors'];
/** For how long what was found behind a port is believed, in milliseconds. */
const FRESH = 1000;

interface Announced {
  readonly listener: Listener;
  users: number;
}

/** Who listens on a port, as far as they are of this user. */
export interface Listening {
  readonly links: readonly Link[];
  /** Why there are no more. */
  readonly reason: Reason;
}

interface Found {
  readonly at: number;
  readonly listening: Promise<Listening>;
}

const announced = new Map<number, Announced>();
const found = new Map<number, Found>();

/** Names are scoped by network namespace exactly as loopback is. */
function nameOf(port: number, k: number): string {
  return `shmloop/1/${port}/${k}`;
}

/** Makes this domain known to those who connect to a port that it listens on. Counted. */
export function announcePort(port: number): void {
  const known = announced.get(port);
  if (known !== undefined) {
    known.users++;
    return;
  }
  for (let k = 0; k < MAX_NAMES; k++) {
    try {
      const listener = Listener.bindAbstract(nameOf(port, k));
      listener.unref();
      announced.set(port, { listener, users: 1 });
      return;
    } catch (error) {
      // Another domain listens on the same port. Anything else: nobody finds us, and all stays on TCP.
      if (codeOf(error) !== 'EADDRINUSE') return;
    }
  }
}

export function isAnnounced(port: number): boolean {
  return announced.has(port);
}

export function withdrawPort(port: number): void {
  const known = announced.get(port);
  if (known === undefined || --known.users > 0) return;
  announced.delete(port);
  known.listener.close();
}

/** Links to all domains that listen on a port. Never rejects. */
export function linksTo(port: number): Promise<Listening> {
  const now = performance.now();
  const known = found.get(port);
  if (known !== undefined && now - known.at < FRESH) return known.listening;
  const listening = dialAll(port);
  found.set(port, { at: now, listening });
  return listening;
}

/** What was found behind a port did not serve: look again. */
export function forgetPort(port: number): void {
  found.delete(port);
}

async function dialAll(port: number): Promise<Listening> {
  const links = new Set<Link>();
  let reason: Reason = 'peer';
  for (let k = 0, gap = 0; k < MAX_NAMES && gap < MAX_GAP; k++) {
    try {
      links.add(await dialAbstract(nameOf(port, k)));
      gap = 0;
    } catch (error) {
      if (codeOf(error) === 'ECONNREFUSED') gap++;
      const why = reasonOfError(error);
      // What the other one does wrong is no reason: it may be anybody.
      if (OWN.includes(why)) reason = why;
      if (why === 'rejected') observe.peerRejected(port, error as Error);
    }
  }
  return { links: [...links], reason };
}
