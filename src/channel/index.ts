export { Channel, type ChannelEventMap } from './channel.js';
export { type ChannelOptions, type Limits, MAX_MESSAGE_SIZE } from './limits.js';
export type { RequestOptions } from './requests.js';
export type { Reply, RequestHandler } from './responder.js';
