import { ShmloopError } from '../errors.js';
import { type Descriptor, native } from '../native.js';

/** Who is at the other end, by the kernel's word. */
export interface Credentials {
  /** Process id, as this pid namespace sees it; 0 when it does not. */
  readonly pid: number;
  /** Effective user id at the time it connected or bound. */
  readonly uid: number;
  /** Effective group id, likewise. */
  readonly gid: number;
}

/** The same with the peer's supplementary groups, as of then. */
export interface Identity extends Credentials {
  readonly groups: readonly number[];
}

/** Whether a process with these credentials may be linked with; what it may open is decided for each name. */
export type Admission = (peer: Identity) => boolean;

/** What the kernel says of a uid or gid that this user namespace does not map: it is nobody in particular. */
export const OVERFLOW_ID = 65_534;

/** Whether the peer is of this process's user: what everybody must be who is not let in by name. */
export function isOwnUser({ uid }: Credentials): boolean {
  return uid === process.geteuid?.();
}

/** @throws ERR_SHMLOOP_PEER_REJECTED when the peer is nobody, or is not admitted */
export function identityOf(socket: Descriptor, admits: Admission): Identity {
  const [pid, uid, gid] = native().peerCredentials(socket);
  const peer = { pid, uid, gid, groups: native().peerGroups(socket) };
  if (uid === OVERFLOW_ID || !admits(peer)) throw rejected(peer);
  return peer;
}

export function rejected({ pid, uid }: Credentials): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PEER_REJECTED', `the peer (pid ${pid}) has uid ${uid}`);
}
