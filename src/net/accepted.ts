import { native } from '../native.js';
import { internals, type Status, type TcpHandle } from './internals.js';
import { announcePort, isAnnounced, withdrawPort } from './ports.js';
import { isPortAllowed } from './settings.js';
import { countWrites, pumpSeldom } from './starved.js';
import { countConnection } from './summary.js';
import { setReason } from './transport.js';
import { keyOf, tupleOf } from './tuple.js';

const kOwnPort = Symbol('shmloop own port');
const kPeerPort = Symbol('shmloop peer port');
const kSeen = Symbol('shmloop seen');
const kWrites = Symbol('shmloop writes');

interface AcceptedHandle extends TcpHandle {
  [kOwnPort]: number;
  [kPeerPort]: number;
  [kSeen]?: boolean;
  [kWrites]: number;
}

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

/**
 * A handle is read for the first time: if it is one end of a connection of this host, then from here on it can
 * be found. However it came here: accepted by a server, dealt out by a cluster, sent by a parent.
 */
export function adopt(tcp: TcpHandle): void {
  const handle = tcp as AcceptedHandle;
  if (handle[kSeen]) return;
  handle[kSeen] = true;
  const ports = native().localPorts(handle.fd);
  countConnection(tcp);
  if (ports === 0) return setReason(tcp, 'address');
  const own = Math.floor(ports / 65_536);
  if (!isPortAllowed(own)) return setReason(tcp, 'port');
  setReason(tcp, 'unasked');
  if (!isAnnounced(own)) announcePort(own);
  track(handle, own, ports % 65_536);
  if (!isAwaited()) return;
  const tuple = tupleOf(handle);
  if (tuple !== undefined) onAdopted(handle, keyOf(tuple));
}

/** The connection with this key, as its holder sees it. */
export function findAccepted(key: string, peerPort: number): TcpHandle | undefined {
  for (const handle of byPeerPort.get(peerPort) ?? []) {
    const tuple = tupleOf(handle);
    if (tuple !== undefined && keyOf(tuple) === key) return handle;
  }
  return undefined;
}

/** It is closed, switched, or given away. */
export function untrack(tcp: TcpHandle): void {
  const handle = tcp as AcceptedHandle;
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
  handle[kWrites] = 0;
  const set = byPeerPort.get(peer);
  if (set === undefined) byPeerPort.set(peer, new Set([handle]));
  else set.add(handle);
  prototype ??= acceptedPrototype();
  Object.setPrototypeOf(handle, prototype);
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
