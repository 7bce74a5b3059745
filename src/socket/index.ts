export { bind, type BindOptions, type ServerDirection } from './bind.js';
export { connect, type ConnectOptions } from './connect.js';
export { Server, type ServerEventMap } from './server.js';
