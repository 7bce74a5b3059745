/**
 * Node processes on one Linux host talk through shared memory.
 * @packageDocumentation
 */
export * from './broadcast/index.js';
export {
  Channel,
  type ChannelEventMap,
  type ChannelOptions,
  Grant,
  type GrantInfo,
  type GrantOptions,
  grants,
  type MapOptions,
  Mapping,
  type MessagePart,
  RegionMessage,
  type RegionRange,
  type Reply,
  type RequestHandler,
  type RequestOptions,
} from './channel/index.js';
export { type Configuration, configure } from './configure.js';
export { ERROR_CODES, type ErrorCode, ShmloopError } from './errors.js';
export type { WaitingMode } from './event/index.js';
export type { Credentials } from './link/index.js';
export {
  createRegion,
  NamedRegion,
  PoolBlock,
  type RegionOptions,
  RegionPool,
  type RegionPoolOptions,
  SharedRegion as Region,
} from './memory/index.js';
export * from './socket/index.js';
