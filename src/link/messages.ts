import { type ErrorCode, ShmloopError, systemError } from '../errors.js';
import { EVENTS } from '../layout.js';
import { isCapacity } from '../ring/index.js';

/** Bumped when anything that two ends must agree on changes: messages, rings, frames, events. */
export const PROTOCOL_VERSION = 1;

const MAGIC = 0x4c4d4853; // "SHML"
const FIXED = 32;
const MAX_TEXT = 512;
/** The longest control message. */
export const MAX_MESSAGE = FIXED + MAX_TEXT;

const KINDS = [
  'hello',
  'welcome',
  'ready',
  'rejected',
  'open',
  'accept',
  'refuse',
  'closed',
  'forget',
  'bye',
  'tell',
  'map',
  'mapped',
  'unmapped',
  'revoked',
  'pass',
  'released',
] as const;
export type Kind = (typeof KINDS)[number];

const DIRECTIONS = ['both', 'send', 'receive', 'any'] as const;
/** Which way a channel goes, as its owner sees it; `any` leaves it to the other end. */
export type Direction = (typeof DIRECTIONS)[number];

const REASONS = ['none', 'refused', 'direction', 'resources', 'version', 'credentials'] as const;
export type Reason = (typeof REASONS)[number];

/**
 * A control message. All kinds share one layout, little-endian, so that there is
 * one place that checks what a peer sent:
 * ```
 *  0        4         6      7           8      12         16        20         24          28       32
 *  +--------+---------+------+-----------+------+----------+---------+----------+-----------+--------+------+
 *  | magic  | version | kind | direction | port | peer port| ring id | capacity | max. size | reason | text |
 *  +--------+---------+------+-----------+------+----------+---------+----------+-----------+--------+------+
 * ```
 */
export interface Message {
  kind: Kind;
  direction: Direction;
  /** A port of the receiver of this message; in `open`, of its sender. */
  port: number;
  /** In `accept`: the port of its sender. */
  peerPort: number;
  /** The ring that the sender of this message reads from; in what is said of grants, a grant or a request for one. */
  ring: number;
  /** Its capacity in bytes; 0 when it does not receive. */
  capacity: number;
  /** The largest message that its sender receives, in bytes. */
  maxMessageSize: number;
  reason: Reason;
  /** The name in `open`; the domain in `hello` and `welcome`; in `tell` what is between their topic's two ends; of grants, what they are. */
  text: string;
}

const EMPTY: Message = {
  kind: 'bye',
  direction: 'any',
  port: 0,
  peerPort: 0,
  ring: 0,
  capacity: 0,
  maxMessageSize: 0,
  reason: 'none',
  text: '',
};

export function encode(fields: Partial<Message> & { kind: Kind }, version = PROTOCOL_VERSION): Buffer {
  const message = { ...EMPTY, ...fields };
  const bytes = Buffer.alloc(FIXED + Buffer.byteLength(message.text, 'latin1'));
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(version, 4);
  bytes[6] = KINDS.indexOf(message.kind);
  bytes[7] = DIRECTIONS.indexOf(message.direction);
  bytes.writeUInt32LE(message.port, 8);
  bytes.writeUInt32LE(message.peerPort, 12);
  bytes.writeUInt32LE(message.ring, 16);
  bytes.writeUInt32LE(message.capacity, 20);
  bytes.writeUInt32LE(message.maxMessageSize, 24);
  bytes.writeUInt32LE(REASONS.indexOf(message.reason), 28);
  bytes.write(message.text, FIXED, 'latin1');
  return bytes;
}

/**
 * Reads and checks a message from a peer.
 * @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_VERSION
 */
export function decode(bytes: Buffer): Message {
  if (bytes.length < FIXED || bytes.readUInt32LE(0) !== MAGIC) throw broken('not a control message');
  const version = bytes.readUInt16LE(4);
  if (version !== PROTOCOL_VERSION) {
    throw new ShmloopError('ERR_SHMLOOP_VERSION', `the peer speaks version ${version}, this is ${PROTOCOL_VERSION}`);
  }
  const message: Message = {
    kind: member(KINDS, bytes[6] as number),
    direction: member(DIRECTIONS, bytes[7] as number),
    port: port(bytes.readUInt32LE(8)),
    peerPort: port(bytes.readUInt32LE(12)),
    ring: bytes.readUInt32LE(16),
    capacity: bytes.readUInt32LE(20),
    maxMessageSize: bytes.readUInt32LE(24),
    reason: member(REASONS, bytes.readUInt32LE(28)),
    text: bytes.toString('latin1', FIXED),
  };
  if (message.capacity !== 0 && !isCapacity(message.capacity)) throw broken(`a ring of ${message.capacity} bytes`);
  return message;
}

/** The error behind a refusal, for who asked. */
export function reasonError(reason: Reason, name: string): Error {
  const own: Partial<Record<Reason, ErrorCode>> = {
    direction: 'ERR_SHMLOOP_DIRECTION',
    version: 'ERR_SHMLOOP_VERSION',
    credentials: 'ERR_SHMLOOP_PEER_REJECTED',
  };
  const code = own[reason];
  if (code !== undefined) return new ShmloopError(code, `${name}: refused by the peer: ${reason}`);
  if (reason === 'resources')
    return systemError('ENOMEM', 'connect', `${name}: the peer is out of memory or descriptors`);
  return systemError('ECONNREFUSED', 'connect', name);
}

function member<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw broken(`a field is out of range: ${index}`);
  return value;
}

function port(value: number): number {
  if (value >= EVENTS.maxChannels) throw broken(`port ${value}`);
  return value;
}

function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer broke the protocol: ${what}`);
}
