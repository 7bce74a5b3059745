import { types } from 'node:util';
import { invalid } from '../errors.js';

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT when it is neither bytes nor a string */
export function toBytes(data: unknown): Uint8Array {
  // One of another realm is as good.
  if (types.isUint8Array(data)) return data;
  if (typeof data === 'string') return Buffer.from(data);
  throw invalid`a message is a Uint8Array or a string, not ${typeof data}`;
}
