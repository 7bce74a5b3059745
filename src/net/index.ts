/**
 * `node:net`, whose connections within this host go through shared memory where both ends have it.
 * @packageDocumentation
 */
import net from 'node:net';
import { install } from './hooks.js';

install();

export * from 'node:net';
export type { Reason } from './reasons.js';
export { type Transport, transportOf } from './transport.js';
export default net;
