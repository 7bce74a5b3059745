import { ownerOf, type TcpHandle } from './internals.js';

/** What the stream of a socket keeps until the write before it is done. On TCP that would have been done at once. */
export function* bufferedBehind(tcp: TcpHandle): Generator<Uint8Array> {
  const owner = ownerOf<BufferingSocket>(tcp);
  // Of TLS the stream has the plain text.
  if (owner?._handle !== tcp || owner.writableCorked > 0) return;
  for (const { chunk, encoding } of owner.writableBuffer ?? []) {
    yield typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
  }
}

interface BufferingSocket {
  _handle: unknown;
  writableCorked: number;
  writableBuffer?: { chunk: Uint8Array | string; encoding: BufferEncoding }[];
}
