import { invalid } from '../errors.js';
import { PARTS } from '../layout.js';
import { PoolBlock, SharedRegion } from '../memory/index.js';
import { toBytes } from './bytes.js';
import { broken } from './grant-messages.js';
import { checkRange } from './grants.js';

/** Bytes of a region, to be sent without a copy. */
export interface RegionRange {
  readonly region: SharedRegion;
  /** Bytes from the region's beginning. Default 0. */
  readonly offset?: number;
  /** Bytes. Default: all that follow. */
  readonly length?: number;
}

/** A part of a message: bytes, which are copied, or a piece of a region, which goes by reference. */
export type MessagePart = Uint8Array | string | SharedRegion | PoolBlock | RegionRange;

/** A part as it goes: of a region, or bytes. */
export interface Outgoing {
  readonly region: SharedRegion | undefined;
  readonly block: PoolBlock | undefined;
  readonly bytes: Uint8Array | undefined;
  readonly offset: number;
  readonly length: number;
}

/** A part as it came; of grant 0 are bytes that the message itself has. */
export interface Incoming {
  readonly grant: number;
  readonly offset: number;
  readonly length: number;
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function outgoing(part: MessagePart): Outgoing {
  if (part instanceof PoolBlock) {
    const { region, offset, length } = part;
    return { region, block: part, bytes: undefined, offset, length };
  }
  if (part instanceof SharedRegion) return outgoing({ region: part });
  if (typeof part === 'object' && part !== null && 'region' in part) {
    if (!(part.region instanceof SharedRegion)) throw invalid('a region is what createRegion makes');
    return { region: part.region, block: undefined, bytes: undefined, ...checkRange(part.region, part) };
  }
  const bytes = toBytes(part);
  return { region: undefined, block: undefined, bytes, offset: 0, length: bytes.length };
}

/** A piece of a block, which it is sent in place of. @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function pieceOf(block: PoolBlock, range: { offset?: number; length?: number }): Outgoing {
  const { offset, length } = checkRange(block, range);
  return { ...outgoing(block), offset: block.offset + offset, length };
}

/** @param grantOf the number of the grant that a region was passed by */
export function encodeParts(parts: readonly Outgoing[], grantOf: (region: SharedRegion) => number): Buffer {
  const head = PARTS.headerLength + parts.length * PARTS.partLength;
  const inline = parts.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
  const payload = Buffer.allocUnsafe(head + inline);
  payload.writeUInt32LE(parts.length, PARTS.count);
  payload.writeUInt32LE(0, PARTS.reserved);
  let at = PARTS.headerLength;
  let end = head;
  for (const { region, bytes, offset, length } of parts) {
    payload.writeDoubleLE(region === undefined ? 0 : grantOf(region), at + PARTS.grant);
    payload.writeDoubleLE(offset, at + PARTS.offset);
    payload.writeDoubleLE(length, at + PARTS.length);
    if (bytes !== undefined) payload.set(bytes, end);
    end += bytes?.length ?? 0;
    at += PARTS.partLength;
  }
  return payload;
}

/**
 * Reads and checks what a peer says of a message's parts.
 * @param payload private memory
 * @returns the parts, and where the bytes of those begin that the message has itself
 * @throws ERR_SHMLOOP_PROTOCOL
 */
export function decodeParts(payload: Buffer): { parts: Incoming[]; head: number } {
  const count = payload.length < PARTS.headerLength ? 0 : payload.readUInt32LE(PARTS.count);
  const head = PARTS.headerLength + count * PARTS.partLength;
  if (count < 1 || count > PARTS.maxParts || head > payload.length) throw broken(`a message of ${count} parts`);
  const parts: Incoming[] = [];
  let inline = 0;
  for (let at = PARTS.headerLength; at < head; at += PARTS.partLength) {
    const grant = payload.readDoubleLE(at + PARTS.grant);
    const offset = payload.readDoubleLE(at + PARTS.offset);
    const length = payload.readDoubleLE(at + PARTS.length);
    if (![grant, offset, length].every((value) => Number.isSafeInteger(value) && value >= 0)) {
      throw broken('a part of a message that cannot be');
    }
    if (grant === 0) inline += length;
    parts.push({ grant, offset, length });
  }
  if (inline !== payload.length - head) throw broken('a message with other bytes than its parts have');
  return { parts, head };
}
