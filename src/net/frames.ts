/** The types of frames in the rings of a switched connection. */
export const TYPE = {
  /** Bytes of the stream. */
  data: 1,
  /** What follows goes on where TCP had brought so many bytes (8 bytes, a double). */
  fromTcp: 2,
  /** What follows comes over TCP, until the next `fromTcp`. */
  toTcp: 3,
  /** The writer ended its side: nothing follows. */
  end: 4,
  /** The peer may be written to through the ring: this side has checked it for the last time. */
  go: 5,
  /** Nothing: what follows is where its payload ends. As long as need be. */
  skip: 6,
} as const;

/** Bytes that data leaves free, so that there is always room to say what follows. */
export const RESERVE = 64;

/** Bytes of payload in `fromTcp`. */
export const OFFSET_LENGTH = 8;
