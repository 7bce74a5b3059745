export type { Policy, PublishOptions } from './options.js';
export { publish } from './publish.js';
export { Publisher, type PublisherEventMap } from './publisher.js';
export { type SubscribeOptions, subscribe } from './subscribe.js';
export { Subscription, type SubscriptionEventMap } from './subscription.js';
