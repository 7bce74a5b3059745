import { FRAME } from '../layout.js';

/** The types of frames. Numbers, since a frame's header is one word. */
export const TYPE = {
  message: 1,
  request: 2,
  reply: 3,
  /** The answer to a request whose handler threw; a JSON object. */
  failure: 4,
  /** The one who asked no longer wants the answer. */
  cancel: 5,
  /** Nothing follows. */
  end: 6,
  /** Announces a message too large for one frame: its type and its length. */
  large: 7,
  /** A part of the large message announced last. */
  part: 8,
  /** A message with parts in regions. */
  region: 9,
  /** One of these, told by its id, is not in use any more. */
  release: 10,
} as const;

export type FrameType = (typeof TYPE)[keyof typeof TYPE];

/** Types that a large message can have. */
export const CARRIERS: readonly number[] = [TYPE.message, TYPE.request, TYPE.reply, TYPE.failure, TYPE.region];

/** Bytes in a `large` frame: type, length. */
export const LARGE_LENGTH = 8;

/** The first word of a frame's header. */
export function typeAndId(type: FrameType, id: number): number {
  return type | (id << FRAME.typeBits);
}

export function typeOf(first: number): number {
  return first & FRAME.typeMask;
}

export function idOf(first: number): number {
  return first >>> FRAME.typeBits;
}
