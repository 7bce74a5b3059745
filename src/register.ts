/**
 * For `node --import shmloop/register app.js`: every TCP connection of the program, and of the workers and child
 * processes that inherit `NODE_OPTIONS`, may go through shared memory.
 * @packageDocumentation
 */
import { install } from './net/hooks.js';

install();
