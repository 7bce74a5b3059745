export { usableCpus } from './cpus.js';
export { domain, type Pollable, type Publishable } from './domain.js';
export { EventCollector, EventNotifier } from './event-channels.js';
export { Waiting, type WaitingMode } from './waiting.js';
