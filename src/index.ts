/**
 * Node processes on one Linux host talk through shared memory.
 * @packageDocumentation
 */
export * from './broadcast/index.js';
export {
  Channel,
  type ChannelEventMap,
  type ChannelOptions,
  type Reply,
  type RequestHandler,
  type RequestOptions,
} from './channel/index.js';
export { type Configuration, configure } from './configure.js';
export { ERROR_CODES, type ErrorCode, ShmloopError } from './errors.js';
export type { WaitingMode } from './event/index.js';
export type { Credentials } from './link/index.js';
export { NamedRegion } from './memory/index.js';
export * from './socket/index.js';
