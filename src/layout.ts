/**
 * Every offset in shared memory, once.
 *
 * A ring (one sealed memfd, allocated by its reader):
 * ```
 *  0            4             64                4096            4096+capacity     4096+2*capacity
 *  +------------+-------------+-----------------+---------------+- - - - - - - - -+
 *  | control    | (padding)   | (unused)        | data          | data, mirrored  |
 *  | words      |             |                 |               | (same pages)    |
 *  +------------+-------------+-----------------+---------------+- - - - - - - - -+
 * ```
 * A frame in the data, always at a multiple of 8:
 * ```
 *  0                          4                 8                8+length   padded to 8
 *  +-------------+------------+-----------------+----------------+- - - -+
 *  | type (4 bit)| id (28)    | payload length  | payload        |       |
 *  +-------------+------------+-----------------+----------------+- - - -+
 * ```
 * The event region of one direction of a link (allocated by the sleeper):
 * ```
 *  0          64           128                        4224
 *  +----------+------------+--------------------------+
 *  | asleep   | selector   | pending[1024]            |
 *  +----------+------------+--------------------------+
 * ```
 * A broadcast region (one sealed memfd, which only its publisher can write):
 * ```
 *  0        12       16       28       32       44        4096           4096+capacity
 *  +--------+--------+--------+--------+--------+---------+--------------+
 *  | head   |        | tail   |        | newest |         | data         |
 *  +--------+--------+--------+--------+--------+---------+--------------+
 * ```
 * A record in the data, always at a multiple of 8; it may go over the end, on to the beginning:
 * ```
 *  0                4                8           12           16             16+length   padded to 8
 *  +----------------+----------------+-----------+------------+--------------+- - - -+
 *  | payload length | sequence: low  | high      | (padding)  | payload      |       |
 *  +----------------+----------------+-----------+------------+--------------+- - - -+
 * ```
 */
export const PAGE = 4096;

export const RING = {
  /** Bytes before the data. */
  controlLength: PAGE,
  /** Index of the control word, in 32-bit words. */
  controlWord: 0,
  /** And of the one that tells how much of the first unread frame's payload a reader that left has read. */
  partRead: 1,
  minCapacity: PAGE,
  maxCapacity: 1 << 26,
} as const;

/**
 * The control word: bytes available to the writer, and who is parked.
 * Bit 31 stays 0: it would make signed comparisons lie. Each side has a futex bit
 * of its own, so that one that gives up waiting never clears the other's. Where no
 * writer ever blocks, as in the drop-in, the writer's tells that the reader has left.
 */
export const CONTROL = {
  available: (1 << 27) - 1,
  writerOnFutex: 1 << 27,
  readerOnFutex: 1 << 28,
  writerParked: 1 << 29,
  readerParked: 1 << 30,
} as const;

export const FRAME = {
  headerLength: 8,
  alignment: 8,
  typeBits: 4,
  typeMask: 15,
  /** Ids are 28 bits wide. */
  maxId: (1 << 28) - 1,
  /** A frame takes at most this part of a ring, so that a quarter free always suffices to go on. */
  maxPartOfRing: 4,
} as const;

/**
 * The payload of a message that has parts in regions; numbers are 64-bit floats, so that they are exact in JavaScript:
 * ```
 *  0        4           8         16         24         32
 *  +--------+-----------+---------+----------+----------+- - - - - - - - -+- - - - - - - - - - - - - -+
 *  | count  | (zero)    | grant   | offset   | length   | further parts   | bytes of parts of grant 0 |
 *  +--------+-----------+---------+----------+----------+- - - - - - - - -+- - - - - - - - - - - - - -+
 * ```
 */
export const PARTS = {
  count: 0,
  reserved: 4,
  headerLength: 8,
  /** Within a part. */
  grant: 0,
  offset: 8,
  length: 16,
  partLength: 24,
  maxParts: 1024,
} as const;

/** The most that goes before the bytes of parts of grant 0. */
export const MAX_PARTS_HEAD = PARTS.headerLength + PARTS.maxParts * PARTS.partLength;

export const EVENTS = {
  asleep: 0,
  selector: 16,
  pending: 32,
  pendingWords: 1024,
  wordsPerGroup: 32,
  /** Bytes of the region, a multiple of the page. */
  regionLength: 2 * PAGE,
  maxChannels: 1024 * 32,
} as const;

/** Indexes of 32-bit words; each position takes three of them. */
export const BROADCAST = {
  /** Bytes before the data. */
  controlLength: PAGE,
  /** Behind the last record that is published. */
  head: 0,
  /** Where the oldest record begins that is not given up to be overwritten. */
  tail: 4,
  /** Where the last record begins that is published. */
  newest: 8,
  /** Positions are below 2^53 bytes, so that a number holds them. */
  maxHigh: (1 << 18) - 1,
} as const;

export const RECORD = {
  headerLength: 16,
  alignment: 8,
} as const;

/**
 * What a subscription shares with its publisher alone: words in the control page of its port's only ring, which
 * carries nothing. All begin as 0.
 */
export const CURSOR = {
  /** By the reader: units of 8 bytes that it has read since it joined, modulo 2^32. */
  consumed: 16,
  /** Set by the reader, taken back by either. */
  readerParked: 32,
  /** Set by the writer, taken back by either: it waits for `consumed` to reach `wanted`. */
  writerParked: 48,
  /** By the writer. */
  wanted: 49,
  /** By the writer, before it lets go: how the subscription ends. */
  ending: 50,
} as const;

/** Bytes that a frame of this payload takes in the ring. */
export function frameLength(payloadLength: number): number {
  return FRAME.headerLength + ((payloadLength + FRAME.alignment - 1) & -FRAME.alignment);
}

/** Bytes that a record of this payload takes in a broadcast region. */
export function recordLength(payloadLength: number): number {
  return RECORD.headerLength + ((payloadLength + RECORD.alignment - 1) & -RECORD.alignment);
}
