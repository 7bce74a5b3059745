/** What both sides do with a message, on every transport alike. */
const PAGE = 4096;

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

/** A word of each page. @returns {Work} */
function touchPages() {
  return {
    write: (buffer, number) => {
      for (let at = 0; at < buffer.length; at += PAGE) buffer.writeUInt32LE(number, at);
    },
    read: (piece, at, number) => {
      for (let i = (PAGE - (at % PAGE)) % PAGE; i + 4 <= piece.length; i += PAGE) {
        if (piece.readUInt32LE(i) !== number) throw new Error(`message ${number} is not as it was sent`);
      }
    },
  };
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
