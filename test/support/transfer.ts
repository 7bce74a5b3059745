import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Moves memory into another ArrayBuffer, as `ArrayBuffer.prototype.transfer` does: Node 20 has it behind a flag. */
export function transfer(memory: ArrayBuffer, length = memory.byteLength): ArrayBuffer {
  if (!('transfer' in ArrayBuffer.prototype)) setFlagsFromString('--harmony-rab-gsab-transfer');
  return runInNewContext('ArrayBuffer.prototype.transfer').call(memory, length);
}
