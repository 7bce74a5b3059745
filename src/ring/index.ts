export type { Sleep } from './control-word.js';
export { RingReader } from './reader.js';
export { isCapacity, RingMemory, ringFileLength } from './ring-memory.js';
export { RingWriter } from './writer.js';
