import { createHash, randomBytes } from 'node:crypto';
import { codeOf } from '../errors.js';
import { type Link, type Port, services, topics } from '../link/index.js';
import { native } from '../native.js';
import { findAccepted, untrack, whenAdopted } from './accepted.js';
import { attach, hasRoomForRing, sessions } from './attach.js';
import type { Counts } from './connection.js';
import { type Claim, claimOf, holdsOtherEnd } from './identity.js';
import type { TcpHandle } from './internals.js';
import { forgetPort, linksTo } from './ports.js';
import { decode, encode, type NetMessage, TOPIC } from './proposal.js';
import type { Reason } from './reasons.js';
import { settings } from './settings.js';
import { keyOf, mirroredKey, type Tuple, tupleOf } from './tuple.js';

/** How long the peer may take to agree, in milliseconds. It may not have accepted the connection yet. */
const DEADLINE = 3000;
/** Proposals of one peer that wait for their connection to be accepted here. */
const MAX_AWAITED = 1024;

/** Why a connection stays on TCP. */
export class Fallback extends Error {
  constructor(readonly reason: Reason) {
    super(reason);
  }
}

type Agree = Extract<NetMessage, { kind: 'agree' }>;
type Propose = Extract<NetMessage, { kind: 'propose' }>;

interface Proposal {
  readonly links: readonly Link[];
  settle(answer: { link: Link; agree: Agree } | Fallback): void;
}

/** Proposals of this domain that wait for an answer. */
const proposals = new Map<number, Proposal>();
/** Proposals of others for connections that this domain does not have yet, by key. */
const awaited = new Map<string, { link: Link; propose: Propose }>();
let nextId = 1;

/** Makes this domain answer proposals. */
export function listenForProposals(): void {
  topics.set(TOPIC, heard);
  whenAdopted(
    (tcp, key) => {
      const waiting = awaited.get(key);
      if (waiting === undefined) return;
      awaited.delete(key);
      consider(waiting.link, waiting.propose, tcp, key);
    },
    () => awaited.size > 0,
  );
}

/**
 * Brings a connection that this domain made to switch, if whoever has the other end agrees.
 * @throws Fallback with the reason for which it stays on TCP
 */
export async function propose(tcp: TcpHandle): Promise<void> {
  const tuple = tupleOf(tcp);
  if (tuple === undefined) throw new Fallback('address');
  if (!hasRoomForRing()) throw new Fallback('memory');
  const links = (await linksTo(tuple.remote.port)).filter((link) => link.isUsable);
  if (links.length === 0) throw new Fallback('peer');
  demandOpen(tcp);
  const nonce = randomBytes(16).toString('hex');
  const { link, agree } = await ask(links, tuple, claimOf(tcp), nonce);
  const verify = () => {
    demandOpen(tcp);
    if (!holdsOtherEnd(tcp, tuple, agree.claim, link.peer)) throw new Fallback('identity');
  };
  verify();
  const session = sessionOf(nonce, agree.nonce);
  const port = await open(link, session);
  try {
    verify();
    attach(tcp, port, link, session, countsOf(tcp, 1), keyOf(tuple));
  } catch (error) {
    port.release();
    throw error;
  }
}

async function ask(links: readonly Link[], tuple: Tuple, claim: Claim, nonce: string) {
  const id = nextId++;
  const answer = await new Promise<{ link: Link; agree: Agree } | Fallback>((settle) => {
    const timer = setTimeout(() => settle(new Fallback('timeout')), DEADLINE).unref();
    proposals.set(id, {
      links,
      settle: (result) => {
        clearTimeout(timer);
        settle(result);
      },
    });
    for (const link of links) link.tell(encode({ kind: 'propose', id, tuple, claim, nonce }));
  });
  proposals.delete(id);
  for (const link of links) {
    if (answer instanceof Fallback || link !== answer.link) link.tell(encode({ kind: 'withdraw', id }));
  }
  if (!(answer instanceof Fallback)) return answer;
  if (answer.reason === 'timeout') forgetPort(tuple.remote.port);
  throw answer;
}

async function open(link: Link, session: string): Promise<Port> {
  try {
    return await link.open(serviceOf(session), { direction: 'both', ringSize: settings.ringSize, maxMessageSize: 0 });
  } catch (error) {
    throw new Fallback(reasonOf(error));
  }
}

function heard(link: Link, text: string): void {
  const message = decode(text);
  switch (message?.kind) {
    case 'propose':
      return heardPropose(link, message);
    case 'agree':
      return answered(link, message.id, { link, agree: message });
    case 'decline':
      return answered(link, message.id, new Fallback(message.reason === 'memory' ? 'memory' : 'declined'));
    case 'withdraw':
      for (const [key, { link: from, propose }] of awaited) {
        if (from === link && propose.id === message.id) awaited.delete(key);
      }
      return;
    case 'moved':
      return sessions.get(message.session)?.peerMoved(link, message.consumed, message.partOfFrame);
  }
}

function answered(link: Link, id: number, answer: { link: Link; agree: Agree } | Fallback): void {
  const proposal = proposals.get(id);
  if (proposal?.links.includes(link)) proposal.settle(answer);
}

function heardPropose(link: Link, message: Propose): void {
  const key = mirroredKey(message.tuple);
  const tcp = findAccepted(key, message.tuple.local.port);
  if (tcp !== undefined) return consider(link, message, tcp, key);
  if (awaited.size >= MAX_AWAITED) awaited.delete(awaited.keys().next().value as string);
  awaited.set(key, { link, propose: message });
}

/** The connection is here: agrees, if the peer is who it says and there are the means. */
function consider(link: Link, message: Propose, tcp: TcpHandle, key: string): void {
  const tuple = { local: message.tuple.remote, remote: message.tuple.local };
  const decline = (reason: Reason) => link.tell(encode({ kind: 'decline', id: message.id, reason }));
  try {
    if (!hasRoomForRing()) return decline('memory');
    if (!holdsOtherEnd(tcp, tuple, message.claim, link.peer)) return decline('identity');
    const counts = countsOf(tcp, 0);
    const nonce = randomBytes(16).toString('hex');
    const session = sessionOf(message.nonce, nonce);
    expectOpen(session, (port) => {
      const isSame = tcp.fd >= 0 && holdsOtherEnd(tcp, tuple, message.claim, link.peer);
      if (!isSame || port.link !== link) return port.release();
      untrack(tcp);
      attach(tcp, port, link, session, counts, key);
    });
    link.tell(encode({ kind: 'agree', id: message.id, claim: claimOf(tcp), nonce }));
  } catch (error) {
    decline(error instanceof Fallback ? error.reason : reasonOf(error));
  }
}

/** The proposer opens the channel of this session, once and soon. */
function expectOpen(session: string, accepted: (port: Port) => void): void {
  const name = serviceOf(session);
  const timer = setTimeout(() => services.delete(name), DEADLINE).unref();
  services.set(name, {
    direction: 'both',
    ringSize: settings.ringSize,
    maxMessageSize: 0,
    hasRoom: hasRoomForRing,
    accepted: (port) => {
      clearTimeout(timer);
      services.delete(name);
      accepted(port);
    },
  });
}

/** What both ends put into it neither could choose alone. */
function sessionOf(proposerNonce: string, acceptorNonce: string): string {
  return createHash('sha256').update(`${proposerNonce} ${acceptorNonce}`).digest('hex').slice(0, 48);
}

function serviceOf(session: string): string {
  return `net:${session}`;
}

/**
 * Where TCP's bytes are counted from: a process that got the socket from another has seen only some of them.
 * @param syn what the SYN counts for in the kernel's count
 * @throws Fallback when the kernel's count and libuv's do not fit each other now
 */
function countsOf(tcp: TcpHandle, syn: 0 | 1): Counts {
  const counted = native().countTcpBytes(tcp.fd);
  if (counted === null) throw new Fallback('ended');
  const read = counted[0] - tcp.bytesRead;
  const written = counted[1] - syn - (tcp.bytesWritten - tcp.writeQueueSize);
  if (read < 0 || written < 0) throw new Fallback('history');
  return { read, written };
}

function demandOpen(tcp: TcpHandle): void {
  if (tcp.fd < 0) throw new Fallback('closed');
}

function reasonOf(error: unknown): Reason {
  switch (codeOf(error)) {
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
