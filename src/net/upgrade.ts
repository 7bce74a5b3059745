import { type Link, type Port, services, topics } from '../link/index.js';
import { native } from '../native.js';
import { randomHex, sha256 } from '../random.js';
import { findAccepted, untrack, whenAdopted } from './accepted.js';
import { attach, nextRingSize, sessions } from './attach.js';
import { answerChallenge, challenge, heardMarked, type Role } from './challenge.js';
import type { Counts } from './connection.js';
import { type Claim, claimOf, doubtOf } from './identity.js';
import type { TcpHandle } from './internals.js';
import { keyOn } from './link-key.js';
import { isConsumed } from './parser.js';
import { forgetPort, linksTo } from './ports.js';
import { decode, encode, type NetMessage, TOPIC } from './proposal.js';
import { type Reason, reasonOfError } from './reasons.js';
import { isShutDown } from './shutdown.js';
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
  readonly tcp: TcpHandle;
  readonly links: readonly Link[];
  settle(answer: { link: Link; agree: Agree } | Fallback): void;
}

/** Proposals of this domain that wait for an answer. */
const proposals = new Map<number, Proposal>();
/** Connections for which this domain agreed, and the channel is not open yet, by link and proposal. */
const agreed = new Map<string, TcpHandle>();
/** Proposals of others for connections that this domain does not have yet, by key. */
const awaited = new Map<string, { link: Link; propose: Propose }>();
const moved = new WeakSet<TcpHandle>();
let nextId = 1;

/** Makes this domain answer proposals. */
export function listenForProposals(): void {
  topics.set(TOPIC, heard);
  whenAdopted(
    (tcp, key) => {
      const waiting = awaited.get(key);
      if (waiting === undefined) return;
      awaited.delete(key);
      void consider(waiting.link, waiting.propose, tcp, key);
    },
    () => awaited.size > 0,
  );
}

/**
 * Brings a connection that this domain made to switch, if whoever has the other end agrees.
 * @param beforeSwitch called when both ends have agreed
 * @throws Fallback with the reason for which it stays on TCP
 */
export async function propose(tcp: TcpHandle, beforeSwitch: () => void): Promise<void> {
  const tuple = tupleOf(tcp);
  if (tuple === undefined) throw new Fallback('address');
  demandRing();
  const listening = await linksTo(tuple.remote.port);
  const links = listening.links.filter((link) => link.isUsable);
  if (links.length === 0) throw new Fallback(listening.reason);
  demandOpen(tcp);
  const nonce = randomHex(16);
  const { link, agree } = await ask(links, tcp, tuple, nonce);
  const mark = await challenge(link, agree.id, 'acceptor');
  const verify = () => {
    demandOpen(tcp);
    demandHolder(tcp, tuple, agree.claim, link, mark);
  };
  verify();
  const session = sessionOf(nonce, agree.nonce);
  const port = await open(link, session);
  try {
    // It may have been closed before there was anybody to hear of it.
    if (port.isPeerGone || !hasBothRings(port)) throw new Fallback('handshake');
    verify();
    beforeSwitch();
    attach(tcp, port, link, session, countsOf(tcp, 1), keyOf(tuple));
  } catch (error) {
    port.release();
    throw error;
  }
}

async function ask(links: readonly Link[], tcp: TcpHandle, tuple: Tuple, nonce: string) {
  const id = nextId++;
  const claim = claimOf(tcp);
  const answer = await new Promise<{ link: Link; agree: Agree } | Fallback>((settle) => {
    const timer = setTimeout(() => settle(new Fallback('timeout')), DEADLINE).unref();
    proposals.set(id, {
      tcp,
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
  const ringSize = demandRing();
  try {
    return await link.open(serviceOf(session), { direction: 'both', ringSize, maxMessageSize: 0 });
  } catch (error) {
    throw new Fallback(reasonOfError(error));
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
    case 'challenge':
      return answerChallenge(link, message, holderOf(link, message));
    case 'marked':
      return heardMarked(link, message);
    case 'moved':
      return sessions.get(message.session)?.peerMoved(link);
  }
}

function answered(link: Link, id: number, answer: { link: Link; agree: Agree } | Fallback): void {
  const proposal = proposals.get(id);
  if (proposal?.links.includes(link)) proposal.settle(answer);
}

function heardPropose(link: Link, message: Propose): void {
  const key = mirroredKey(message.tuple);
  const tcp = findAccepted(key, message.tuple.local.port);
  if (tcp !== undefined) return void consider(link, message, tcp, key);
  if (awaited.size >= MAX_AWAITED) awaited.delete(awaited.keys().next().value as string);
  awaited.set(key, { link, propose: message });
}

/** The connection is here: agrees, if the peer is who it says and there are the means. */
async function consider(link: Link, message: Propose, tcp: TcpHandle, key: string): Promise<void> {
  const { id, claim } = message;
  const tuple = { local: message.tuple.remote, remote: message.tuple.local };
  try {
    demandRing();
    const mark = await challenge(link, id, 'proposer');
    const verify = () => {
      demandOpen(tcp);
      demandHolder(tcp, tuple, claim, link, mark);
    };
    verify();
    const counts = countsOf(tcp, 0);
    const nonce = randomHex(16);
    const session = sessionOf(message.nonce, nonce);
    expectOpen(link, session, id, tcp, (port) => {
      verify();
      untrack(tcp);
      attach(tcp, port, link, session, counts, key);
    });
    link.tell(encode({ kind: 'agree', id, claim: claimOf(tcp), nonce }));
  } catch (error) {
    const reason = error instanceof Fallback ? error.reason : reasonOfError(error);
    link.tell(encode({ kind: 'decline', id, reason }));
  }
}

/** The socket of this domain that a proposal is about. */
function holderOf(link: Link, { id, role }: { id: number; role: Role }): TcpHandle | undefined {
  if (role === 'acceptor') return agreed.get(keyOn(link, id));
  const proposal = proposals.get(id);
  return proposal?.links.includes(link) ? proposal.tcp : undefined;
}

/** The proposer opens the channel of this session, once and soon. @param accepted throws when it is not to be */
function expectOpen(link: Link, session: string, id: number, tcp: TcpHandle, accepted: (port: Port) => void): void {
  const name = serviceOf(session);
  const key = keyOn(link, id);
  const forget = () => {
    clearTimeout(timer);
    services.delete(name);
    agreed.delete(key);
  };
  const timer = setTimeout(forget, DEADLINE).unref();
  agreed.set(key, tcp);
  services.set(name, {
    direction: 'both',
    // Others may have got the memory since this one agreed: then the proposer is told that there is none.
    get ringSize() {
      return demandRing();
    },
    maxMessageSize: 0,
    hasRoom: () => true,
    accepted: (port) => {
      forget();
      try {
        if (port.link !== link) throw new Fallback('identity');
        if (!hasBothRings(port)) throw new Fallback('handshake');
        accepted(port);
      } catch {
        // The proposer hears that the channel is closed, before either end has used it.
        port.release();
      }
    },
  });
}

/** A peer may have agreed to less than it was asked for. */
function hasBothRings({ reader, writer }: Port): boolean {
  return reader !== undefined && writer !== undefined;
}

/** What both ends put into it neither could choose alone. */
function sessionOf(proposerNonce: string, acceptorNonce: string): string {
  return sha256(`${proposerNonce} ${acceptorNonce}`).toString('hex').slice(0, 48);
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

/** @returns bytes of the ring that this connection may have */
function demandRing(): number {
  const size = nextRingSize();
  if (size === 0) throw new Fallback('memory');
  return size;
}

function demandOpen(tcp: TcpHandle): void {
  if (tcp.fd < 0) throw new Fallback('closed');
  if (isMoved(tcp)) throw new Fallback('moved');
  // The kernel hears of it in the next round of the event loop only.
  if (isShutDown(tcp)) throw new Fallback('ended');
  if (isConsumed(tcp)) throw new Fallback('consumed');
}

function demandHolder(tcp: TcpHandle, tuple: Tuple, claim: Claim, link: Link, mark: bigint | undefined): void {
  const doubt = doubtOf(tcp, tuple, claim, link.peer, mark);
  if (doubt !== undefined) throw new Fallback(doubt);
}

/** Another process has, or gets, the socket: this one must not switch it any more. */
export function markMoved(tcp: TcpHandle): void {
  moved.add(tcp);
}

export function isMoved(tcp: TcpHandle): boolean {
  return moved.has(tcp);
}
