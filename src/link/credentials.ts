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

/** What the kernel says of a uid that this user namespace does not map: it is nobody in particular. */
const OVERFLOW_UID = 65_534;

/** @throws ERR_SHMLOOP_PEER_REJECTED when the peer is another user */
export function acceptedCredentials(socket: Descriptor): Credentials {
  const [pid, uid, gid] = native().peerCredentials(socket);
  if (uid === OVERFLOW_UID || uid !== process.geteuid?.()) {
    throw new ShmloopError('ERR_SHMLOOP_PEER_REJECTED', `the peer (pid ${pid}) has uid ${uid}`);
  }
  return { pid, uid, gid };
}
