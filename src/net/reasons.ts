import { codeOf } from '../errors.js';

/** Every reason for which a connection is on TCP. `docs/transparency.md` lists the same. */
export const REASONS = {
  off: 'SHMLOOP=off',
  platform: 'this platform has no shared-memory transport',
  permission: 'the permission model of Node forbids what it takes',
  settings: 'a SHMLOOP_ variable has a value that it cannot have',
  internals: 'this version of Node has other internals, or is none',
  addon: 'the addon cannot be loaded',
  connecting: 'the connection is not established yet',
  address: 'the other end is not on this host, by its address',
  port: 'SHMLOOP_PORTS excludes the port',
  traffic: 'too little traffic so far to be worth a switch',
  negotiating: 'the two ends are agreeing on the switch',
  unasked: 'the other end has not asked for a switch, so far at least',
  history: 'bytes went through it before it came to this process',
  peer: 'nobody with shmloop has the other end',
  rejected: 'the peer is another user',
  identity: 'the kernel does not confirm who holds the other end',
  declined: 'the peer does not want it',
  timeout: 'the peer took too long to agree',
  handshake: 'the peer broke the handshake, or died in it',
  memory: 'no memory for the rings, or more than the cap',
  descriptors: 'no descriptors left',
  consumed: 'something in C++ reads the socket directly',
  ended: 'one side has ended already',
  moved: 'the socket went to another process or thread',
  closed: 'the connection is closed',
} as const;

export type Reason = keyof typeof REASONS;

export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}

/** The reason behind an error that came from making a link, or a channel. */
export function reasonOfError(error: unknown): Reason {
  switch (codeOf(error)) {
    case 'ERR_SHMLOOP_PEER_REJECTED':
      return 'rejected';
    case 'ENOMEM':
    case 'ENOSYS':
    case 'EPERM':
    case 'ENOSPC':
      return 'memory';
    case 'EMFILE':
    case 'ENFILE':
      return 'descriptors';
    case 'ERR_SHMLOOP_TIMEOUT':
      return 'timeout';
    default:
      return 'handshake';
  }
}
