import type { Claim } from './identity.js';
import { isReason, type Reason } from './reasons.js';
import { type End, parseEnd, type Tuple, textOf } from './tuple.js';

/** The topic of these messages on a link. */
export const TOPIC = 'net';

/**
 * What two domains say to each other over a link about the TCP connections between them. Ids are the
 * proposer's; each side believes of it only what the kernel confirms.
 */
export type NetMessage =
  /** Who connected proposes to switch. */
  | { kind: 'propose'; id: number; tuple: Tuple; claim: Claim; nonce: string }
  /** Who accepted the connection has it, and agrees. */
  | { kind: 'agree'; id: number; claim: Claim; nonce: string }
  | { kind: 'decline'; id: number; reason: Reason }
  /** The proposer wants no answer any more. */
  | { kind: 'withdraw'; id: number }
  /** Mark your socket with this, to show that you hold it; `role` is whose socket of the connection. */
  | { kind: 'challenge'; id: number; role: 'proposer' | 'acceptor'; nonce: string }
  | { kind: 'marked'; id: number; role: 'proposer' | 'acceptor' }
  /** The sender's socket goes to another process, and it has left its ring. */
  | { kind: 'moved'; session: string };

const NONCE = /^[0-9a-f]{32}$/;
const HEX = /^[0-9a-f]{1,16}$/;
const DECIMAL = /^\d{1,16}$/;

export function encode(message: NetMessage): string {
  return [TOPIC, message.kind, ...fieldsOf(message)].join(' ');
}

/** @returns undefined for what is not such a message: a peer may say anything */
export function decode(text: string): NetMessage | undefined {
  const [, kind, ...fields] = text.split(' ');
  switch (kind) {
    case 'propose':
      return fields.length === 6 ? decodePropose(fields) : undefined;
    case 'agree':
      return fields.length === 4 ? decodeAgree(fields) : undefined;
    case 'decline': {
      const [id, reason = ''] = fields;
      return isNumber(id) && isReason(reason) ? { kind, id: Number(id), reason } : undefined;
    }
    case 'withdraw':
      return isNumber(fields[0]) ? { kind, id: Number(fields[0]) } : undefined;
    case 'challenge':
    case 'marked':
      return decodeChallenge(kind, fields);
    case 'moved': {
      const [session = ''] = fields;
      return /^[0-9a-f]{48}$/.test(session) ? { kind, session } : undefined;
    }
    default:
      return undefined;
  }
}

function fieldsOf(message: NetMessage): (string | number)[] {
  switch (message.kind) {
    case 'propose': {
      const { local, remote } = message.tuple;
      return [message.id, textOf(local), textOf(remote), ...claimFields(message.claim), message.nonce];
    }
    case 'agree':
      return [message.id, ...claimFields(message.claim), message.nonce];
    case 'decline':
      return [message.id, message.reason];
    case 'withdraw':
      return [message.id];
    case 'challenge':
      return [message.id, message.role, message.nonce];
    case 'marked':
      return [message.id, message.role];
    case 'moved':
      return [message.session];
  }
}

function claimFields({ cookie, descriptor }: Claim): (string | number)[] {
  return [cookie.toString(16), descriptor];
}

function decodePropose([id, own = '', peer = '', cookie, descriptor, nonce]: string[]): NetMessage | undefined {
  const local: End | undefined = parseEnd(own);
  const remote = parseEnd(peer);
  const claim = decodeClaim(cookie, descriptor);
  if (!isNumber(id) || !local || !remote || !claim || !isNonce(nonce)) return undefined;
  if (local.address.length !== remote.address.length) return undefined;
  return { kind: 'propose', id: Number(id), tuple: { local, remote }, claim, nonce };
}

function decodeAgree([id, cookie, descriptor, nonce]: string[]): NetMessage | undefined {
  const claim = decodeClaim(cookie, descriptor);
  if (!isNumber(id) || !claim || !isNonce(nonce)) return undefined;
  return { kind: 'agree', id: Number(id), claim, nonce };
}

function decodeChallenge(kind: 'challenge' | 'marked', [id, role, nonce]: string[]): NetMessage | undefined {
  if (!isNumber(id) || (role !== 'proposer' && role !== 'acceptor')) return undefined;
  if (kind === 'marked') return { kind, id: Number(id), role };
  return isNonce(nonce) ? { kind, id: Number(id), role, nonce } : undefined;
}

function decodeClaim(cookie: string | undefined, descriptor: string | undefined): Claim | undefined {
  if (cookie === undefined || !HEX.test(cookie) || !isNumber(descriptor)) return undefined;
  return { cookie: BigInt(`0x${cookie}`), descriptor: Number(descriptor) };
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && DECIMAL.test(text);
}

function isNonce(text: string | undefined): text is string {
  return text !== undefined && NONCE.test(text);
}
