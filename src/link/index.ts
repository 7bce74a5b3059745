export { type Admission, type Credentials, type Identity, isOwnUser, OVERFLOW_ID } from './credentials.js';
export { Link, type OpenOptions } from './link.js';
export type { Direction, Message } from './messages.js';
export { PROTOCOL_VERSION } from './messages.js';
export { type GrantMessage, Port, type PortHandler } from './port.js';
export { pumpAll, pumpables } from './pump.js';
export { dial, dialAbstract, Listener } from './rendezvous.js';
export { type Service, type Shared, services, topics } from './services.js';
