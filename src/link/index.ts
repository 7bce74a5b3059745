export { type Admission, type Credentials, type Identity, isOwnUser, OVERFLOW_ID } from './credentials.js';
export { Link, type OpenOptions } from './link.js';
export type { Direction } from './messages.js';
export { PROTOCOL_VERSION } from './messages.js';
export { Port, type PortHandler } from './port.js';
export { pumpAll, pumpables } from './pump.js';
export { dial, dialAbstract, Listener } from './rendezvous.js';
export { type Service, services, topics } from './services.js';
