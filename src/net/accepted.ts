import { native } from '../native.js';
import { type Address, internals, type Status, type TcpHandle } from './internals.js';
import { isLoopback } from './local-target.js';
import { announcePort, isAnnounced, withdrawPort } from './ports.js';
import type { Reason } from './reasons.js';
import { isPortAllowed } from './settings.js';
import { countWrites, pumpSeldom } from './starved.js';
import { countConnection } from './summary.js';
import { setReason } from './transport.js';
import { keyOf, tupleOf } from './tuple.js';

/** To look at a connection costs system calls: most of those that are short need none if it is put off. */
const MAX_NEWCOMERS = 64;

const kOwnPort = Symbol('shmloop own port');
const kPeerPort = Symbol('shmloop peer port');
const kIsAnnounced = Symbol('shmloop is announced');
const kSeen = Symbol('shmloop seen');
const kWrites = Symbol('shmloop writes');

interface AcceptedHandle extends TcpHandle {
  [kOwnPort]: number;
  [kPeerPort]: number;
  [kIsAnnounced]?: boolean;
  [kSeen]?: boolean;
  [kWrites]: number;
}

/** Open connections that nobody has looked at yet, the oldest first. */
const newcomers = new Set<AcceptedHandle>();
/** Open connections from this host that this domain did not make itself, by the port they come from. */
const byPeerPort = new Map<number, Set<AcceptedHandle>>();
let prototype: object | undefined;
let onAdopted: (tcp: TcpHandle, key: string) => void = () => {};
let isAwaited: () => boolean = () => false;

/**
 * Calls back for each connection that is adopted while somebody waits for one.
 * @param awaited whether anybody does
 */
export function whenAdopted(adopted: (tcp: TcpHandle, key: string) => void, awaited: () => boolean): void {
  onAdopted = adopted;
  isAwaited = awaited;
}

/** The handle is somebody else's affair: it connected, or was looked at. */
export function markSeen(tcp: TcpHandle): void {
  (tcp as AcceptedHandle)[kSeen] = true;
}

/** A server of this domain accepted it, on a port that is announced for as long as the server listens. */
export function markAnnounced(tcp: TcpHandle): void {
  (tcp as AcceptedHandle)[kIsAnnounced] = true;
}

/**
 * A handle is read for the first time: if it is one end of a connection of this host, then from here on it can
 * be found. However it came here: accepted by a server, dealt out by a cluster, sent by a parent.
 */
export function adopt(tcp: TcpHandle): void {
  const handle = tcp as AcceptedHandle;
  if (handle[kSeen]) return;
  handle[kSeen] = true;
  handle[kWrites] = 0;
  countConnection(tcp);
  prototype ??= acceptedPrototype();
  Object.setPrototypeOf(handle, prototype);
  if (handle[kIsAnnounced] && !isAwaited()) welcome(handle);
  else inspect(handle);
}

function welcome(handle: AcceptedHandle): void {
  setReason(handle, reasonNow);
  newcomers.add(handle);
  if (newcomers.size > MAX_NEWCOMERS) inspect(newcomers.values().next().value as AcceptedHandle);
}

/** Looks at those that this was put off for: before their port may no longer be announced, or one of them is asked for. */
export function inspectNewcomers(): void {
  for (const handle of newcomers) inspect(handle);
}

function inspect(handle: AcceptedHandle): void {
  newcomers.delete(handle);
  const ports = native().localPorts(handle.fd);
  const reason = reasonBy(ports);
  setReason(handle, reason);
  if (reason !== 'unasked') return void Object.setPrototypeOf(handle, internals.TCP.prototype);
  const own = Math.floor(ports / 65_536);
  if (!isAnnounced(own)) announcePort(own);
  track(handle, own, ports % 65_536);
  if (!isAwaited()) return;
  const tuple = tupleOf(handle);
  if (tuple !== undefined) onAdopted(handle, keyOf(tuple));
}

function reasonNow(tcp: TcpHandle): Reason {
  const name: Partial<Address> = {};
  // The kernel knows no peer any more of one that both have ended.
  if (tcp.getsockname(name) === 0 && isLoopback(name.address as string)) {
    return reasonOfPort(name.port as number);
  }
  return reasonBy(native().localPorts(tcp.fd));
}

function reasonBy(ports: number): Reason {
  return ports === 0 ? 'address' : reasonOfPort(Math.floor(ports / 65_536));
}

function reasonOfPort(own: number): Reason {
  return isPortAllowed(own) ? 'unasked' : 'port';
}

/** The connection with this key, as its holder sees it. */
export function findAccepted(key: string, peerPort: number): TcpHandle | undefined {
  inspectNewcomers();
  for (const handle of byPeerPort.get(peerPort) ?? []) {
    const tuple = tupleOf(handle);
    if (tuple !== undefined && keyOf(tuple) === key) return handle;
  }
  return undefined;
}

/** It is closed, switched, or given away. */
export function untrack(tcp: TcpHandle): void {
  const handle = tcp as AcceptedHandle;
  newcomers.delete(handle);
  const set = byPeerPort.get(handle[kPeerPort]);
  if (set === undefined) return;
  if (set.delete(handle)) withdrawPort(handle[kOwnPort]);
  if (set.size === 0) byPeerPort.delete(handle[kPeerPort]);
}

/** Its port stays announced until it has switched, whether anybody listens there any more or not. */
function track(handle: AcceptedHandle, own: number, peer: number): void {
  announcePort(own);
  handle[kOwnPort] = own;
  handle[kPeerPort] = peer;
  const set = byPeerPort.get(peer);
  if (set === undefined) byPeerPort.set(peer, new Set([handle]));
  else set.add(handle);
}

/** The same as TCP, but it says when it is closed, and listens while it writes. */
function acceptedPrototype(): object {
  class AcceptedTcp extends internals.TCP {
    override close(callback?: () => void): void {
      untrack(this);
      super.close(callback);
    }

    override reset(callback?: () => void): Status {
      const status = super.reset(callback);
      if (status === 0) untrack(this);
      return status;
    }
  }
  countWrites(AcceptedTcp.prototype, (tcp) => pumpSeldom(++(tcp as AcceptedHandle)[kWrites]));
  Object.defineProperty(AcceptedTcp, 'name', { value: 'TCP' });
  return AcceptedTcp.prototype;
}
