import { readlinkSync } from '../fs.js';
import type { Credentials } from '../link/index.js';
import { native } from '../native.js';
import { sha256 } from '../random.js';
import type { TcpHandle } from './internals.js';
import type { Tuple } from './tuple.js';

const ESTABLISHED = 1;
/** No real limit of speed is that high: it says that this is a mark. */
const MARK = 1n << 62n;

/** What the holder of a TCP socket says of it, for the other end to check with the kernel. */
export interface Claim {
  /** The kernel's own number for the socket: never used again. */
  readonly cookie: bigint;
  /** Its descriptor in the process that claims it. */
  readonly descriptor: number;
}

export function claimOf(tcp: TcpHandle): Claim {
  return { cookie: native().inspectSocket(tcp.fd)[0], descriptor: tcp.fd };
}

/**
 * Why to doubt that the peer holds the other end of this very connection, by the kernel's word alone. No doubt is
 * left when the one socket with the mirrored addresses is established, has the cookie that was claimed, belongs
 * to the uid of the peer, and is the one behind the peer's descriptor. A proxy, a forwarded or reused port,
 * another network namespace, and whoever only heard of the connection fail.
 * @param mark what the peer was asked to mark its socket with, if /proc does not show its descriptors
 * @returns undefined when there is no doubt
 */
export function doubtOf(
  tcp: TcpHandle,
  tuple: Tuple,
  claim: Claim,
  peer: Credentials,
  mark: bigint | undefined,
): 'ended' | 'identity' | undefined {
  const [, , namespace] = native().inspectSocket(tcp.fd);
  const { local, remote } = tuple;
  const isV6 = local.address.length === 16;
  const found = native().diagnoseTcp(isV6, remote.address, remote.port, local.address, local.port);
  if (found === null) return 'identity';
  const [state, inode, uid, cookie, pacingRate, searched] = found;
  // Where it was looked for is where this end is.
  if (searched !== namespace || cookie !== claim.cookie || uid !== peer.uid) return 'identity';
  if (state !== ESTABLISHED) return 'ended';
  if (inode === 0n) return 'identity';
  return possesses(peer, claim, inode) || (mark !== undefined && pacingRate === mark) ? undefined : 'identity';
}

/** Whether /proc shows the descriptors of the peer at all. */
export function isVisible(peer: Credentials): boolean {
  try {
    readlinkSync(`/proc/${peer.pid}/fd/0`);
    return peer.pid !== 0;
  } catch (error) {
    return (error as { code?: string }).code === 'ENOENT' && isAlive(peer);
  }
}

/**
 * The mark that a holder puts on its socket to show that it holds it: it is for who asked, over this very link.
 * Who passes the question on to the true holder gets a mark for another link.
 */
export function markFor(nonce: string, verifier: number, holder: number): bigint {
  const digest = sha256(`${nonce} ${verifier} ${holder}`);
  return MARK | (digest.readBigUInt64LE(0) >> 2n);
}

function possesses(peer: Credentials, { descriptor }: Claim, inode: bigint): boolean {
  if (peer.pid === 0) return false;
  try {
    return readlinkSync(`/proc/${peer.pid}/fd/${descriptor}`) === `socket:[${inode}]`;
  } catch {
    return false;
  }
}

function isAlive({ pid }: Credentials): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}
