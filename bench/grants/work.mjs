/** What both sides do with a message, on every transport alike. */
const PAGE = 4096;
const LINE = 64;
const LINES = PAGE / LINE;
const WORD = 4;

/** Bytes that can be under way: beyond, the sender waits. */
export const BUFFERED_BYTES = 8 << 20;

/** The bytes of one message and of the next, so that none is what was there before. */
const VALUES = [0x5a, 0xa5];

/**
 * @typedef {'handover' | 'compare'} Kind
 * @typedef {{ write: (buffer: Buffer, number: number) => void,
 *   read: (piece: Buffer, at: number, number: number) => void }} Work `read` takes a piece of a message from byte `at` on
 */

/**
 * @param {Kind} kind
 * @param {number} size bytes of a message
 * @returns {Work}
 */
export function workOf(kind, size) {
  return kind === 'handover' ? touchPages() : compareAll(size);
}

/**
 * A word of each page, in another cache line each: lines of one place in all pages would push each other out. One that
 * two of TCP's chunks share is not looked at.
 * @returns {Work}
 */
function touchPages() {
  return {
    write: (buffer, number) => {
      const view = viewOf(buffer);
      for (let page = 0; page * PAGE < buffer.length; page++) view.setInt32(touched(page), number);
    },
    read: (piece, at, number) => {
      const view = viewOf(piece);
      for (let page = Math.floor(at / PAGE); page * PAGE < at + piece.length; page++) {
        const i = touched(page) - at;
        if (i >= 0 && i + WORD <= piece.length && view.getInt32(i) !== number) {
          throw new Error(`message ${number} is not as it was sent`);
        }
      }
    },
  };
}

/** Faster than a Buffer's own methods, and takes words anywhere, as TCP cuts them. @param {Buffer} bytes */
function viewOf({ buffer, byteOffset, length }) {
  return new DataView(buffer, byteOffset, length);
}

/** @param {number} page */
function touched(page) {
  return page * PAGE + (page % LINES) * LINE;
}

/** All bytes. @param {number} size @returns {Work} */
function compareAll(size) {
  const expected = VALUES.map((value) => Buffer.alloc(size, value));
  return {
    write: (buffer, number) => buffer.fill(VALUES[number % 2]),
    read: (piece, at, number) => {
      const same = expected[number % 2].subarray(at, at + piece.length);
      if (Buffer.compare(piece, same) !== 0) throw new Error(`message ${number} is not as it was sent`);
    },
  };
}
