export { Channel, type ChannelEventMap } from './channel.js';
export { Grant, type GrantInfo, type GrantOptions, grants } from './grants.js';
export { type ChannelOptions, type Limits, MAX_MESSAGE_SIZE } from './limits.js';
export { type MapOptions, Mapping } from './mappings.js';
export type { MessagePart, RegionRange } from './parts.js';
export { RegionMessage } from './region-message.js';
export type { RequestOptions } from './requests.js';
export type { Reply, RequestHandler } from './responder.js';
