export { Channel, type ChannelEventMap } from './channel.js';
export { type ChannelOptions, invalid, type Limits, limitsOf, MAX_MESSAGE_SIZE } from './limits.js';
export { Queue } from './queue.js';
export type { RequestOptions } from './requests.js';
export type { Reply, RequestHandler } from './responder.js';
