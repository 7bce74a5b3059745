import type { Link } from '../link/index.js';
import { native } from '../native.js';
import { randomHex } from '../random.js';
import { isVisible, markFor } from './identity.js';
import type { TcpHandle } from './internals.js';
import { keyOn } from './link-key.js';
import { encode, type NetMessage } from './proposal.js';
import { settings } from './settings.js';

/** Whose socket of a connection: who connected proposes. */
export type Role = 'proposer' | 'acceptor';

/** How long the peer may take to mark its socket, in milliseconds. */
const DEADLINE = 1000;

/** Answers that are waited for, by link, proposal and role. */
const waiting = new Map<string, () => void>();

/**
 * Has a peer that /proc does not show mark its socket, where that is opted for: only who holds a socket can set
 * its pacing rate, and everybody can read it. (It costs TCP some of its speed, should it be used as TCP.)
 * @returns the mark to look for, or undefined when there is none
 */
export async function challenge(link: Link, id: number, role: Role): Promise<bigint | undefined> {
  const inodes = settings.challenge && !isVisible(link.peer) ? link.inodes() : null;
  if (inodes === null) return undefined;
  const nonce = randomHex(16);
  const key = keyOn(link, id, role);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, DEADLINE).unref();
    waiting.set(key, () => {
      clearTimeout(timer);
      resolve();
    });
    link.tell(encode({ kind: 'challenge', id, role, nonce }));
  });
  waiting.delete(key);
  return markFor(nonce, ...inodes);
}

export function heardMarked(link: Link, { id, role }: Extract<NetMessage, { kind: 'marked' }>): void {
  waiting.get(keyOn(link, id, role))?.();
}

/** Marks the socket that the proposal is about, if there is one and it is opted for. */
export function answerChallenge(
  link: Link,
  { id, role, nonce }: Extract<NetMessage, { kind: 'challenge' }>,
  tcp: TcpHandle | undefined,
): void {
  const inodes = link.inodes();
  if (!settings.challenge || tcp === undefined || tcp.fd < 0 || inodes === null) return;
  const [holder, verifier] = inodes;
  native().setPacingRate(tcp.fd, markFor(nonce, verifier, holder));
  link.tell(encode({ kind: 'marked', id, role }));
}
