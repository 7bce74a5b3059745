export type { Allow } from './access.js';
export { type BindOptions, bind, type ServerDirection } from './bind.js';
export { type ConnectOptions, connect } from './connect.js';
export { Server, type ServerEventMap } from './server.js';
