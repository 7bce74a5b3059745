import type { Socket } from 'node:net';
import { workingCopy } from './copies.js';
import { tcpBeneath } from './facade.js';
import type { StreamHandle, TcpHandle } from './internals.js';
import type { Reason } from './reasons.js';
import { connectionOf } from './switched-tcp.js';

const kReason = Symbol('shmloop reason');

interface ReasonedHandle extends TcpHandle {
  [kReason]?: Reason | ((tcp: TcpHandle) => Reason);
}

/** What carries a socket's bytes, and if that is TCP, why. */
export type Transport = { transport: 'shm' } | { transport: 'tcp'; reason: Reason };

let reasonForAll: Reason | undefined;

/** No connection of this process switches. */
export function setReasonForAll(reason: Reason): void {
  reasonForAll = reason;
}

/** @param reason or what finds it, if ever anybody asks */
export function setReason(tcp: TcpHandle, reason: Reason | ((tcp: TcpHandle) => Reason)): void {
  (tcp as ReasonedHandle)[kReason] = reason;
}

export function reasonOf(tcp: object): Reason {
  const { [kReason]: reason = 'peer' } = tcp as ReasonedHandle;
  return reasonForAll ?? (typeof reason === 'function' ? reason(tcp as TcpHandle) : reason);
}

/**
 * What carries the bytes of a socket now.
 * @returns `'shm'` when they go through shared memory; else `'tcp'`, and the reason
 */
export function transportOf(socket: Socket): Transport {
  return (workingCopy()?.transportOf ?? ownTransportOf)(socket);
}

export function ownTransportOf(socket: Socket): Transport {
  const handle = (socket as unknown as { _handle?: StreamHandle | null })._handle;
  if (reasonForAll !== undefined) return { transport: 'tcp', reason: reasonForAll };
  if (!handle) return { transport: 'tcp', reason: socket.connecting ? 'connecting' : 'closed' };
  const tcp = tcpBeneath(handle);
  if (connectionOf(tcp)?.isSwitched) return { transport: 'shm' };
  return { transport: 'tcp', reason: reasonOf(tcp) };
}
