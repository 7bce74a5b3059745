/**
 * The transports, and what each of them is asked to do.
 *
 * A transport module exports `serve` and `connect`; both give as many endpoints
 * as there are connections. `serve` tells at once where to connect to.
 *
 * @typedef {object} Endpoint one end of a connection
 * @property {boolean} isStream whether chunks are pieces of a stream, not messages
 * @property {(message: Uint8Array) => boolean} send false: await `drained` before the next
 * @property {() => Promise<unknown>} drained
 * @property {() => Promise<unknown>} flushed when all that was sent has left this process
 * @property {(listener: (chunk: Uint8Array) => void) => void} onData once in an endpoint's life
 * @property {(listener: (view: Uint8Array) => void) => void} [onView] in place of `onData`; the view is lent for the call
 * @property {(listener: (error: Error) => void) => void} onError replaces the listener before
 * @property {() => unknown} close
 *
 * @typedef {object} BlockingEndpoint
 * @property {() => void} wake before a batch
 * @property {() => void} rest after it
 * @property {(message: Uint8Array) => void} send
 * @property {() => Buffer} receive
 * @property {() => unknown} close
 *
 * @typedef {{ address: any, accepted: Promise<any[]>, close: () => unknown }} Serving
 * @typedef {{ connections: number, directory: string, options: any }} Setting `directory` is for files of this run
 * @typedef {{ serve: (setting: Setting) => Serving | Promise<Serving>,
 *   connect: (address: any, setting: Setting) => Promise<any[]> }} TransportModule
 *
 * @typedef {object} Transport
 * @property {string} module
 * @property {any} [options] for the module
 * @property {'processes' | 'threads' | 'native'} sides native: the program of ../limits is both
 * @property {boolean} [isBlocking]
 * @property {readonly string[]} cases
 * @property {number} [largest] size of the largest messages, where larger ones make no difference
 * @property {boolean} [hasViews] whether `oneway-consume` differs from `oneway`
 */

const CASES = ['rtt', 'rtt-parked', 'oneway', 'oneway-consume', 'idle'];
const ROUND_TRIPS = ['rtt', 'rtt-parked'];
const ONE_WAY = ['oneway', 'oneway-consume'];

/** In the order of the report. @type {Readonly<Record<string, Transport>>} */
export const TRANSPORTS = {
  'shmloop-adaptive': shmloop('adaptive'),
  'shmloop-park': shmloop('park'),
  'shmloop-spin': {
    module: './shmloop-spin.mjs',
    sides: 'processes',
    isBlocking: true,
    cases: ['rtt', 'rtt-parked', 'oneway'],
  },
  tcp: { module: './tcp.mjs', options: { corks: false }, sides: 'processes', cases: CASES },
  'tcp-corked': { module: './tcp.mjs', options: { corks: true }, sides: 'processes', cases: ONE_WAY, largest: 1 << 10 },
  uds: { module: './uds.mjs', sides: 'processes', cases: CASES },
  messageport: { module: './messageport.mjs', sides: 'threads', cases: CASES },
  'limit-spin': limit('spin', ROUND_TRIPS),
  'limit-futex': limit('futex', ROUND_TRIPS),
  'limit-eventfd': limit('eventfd', ROUND_TRIPS),
  'limit-uds': limit('uds', ROUND_TRIPS),
  'limit-copy': limit('copy', ONE_WAY),
};

/**
 * @param {string} name
 * @returns {Promise<TransportModule>}
 */
export function loadTransport(name) {
  return import(TRANSPORTS[name].module);
}

/**
 * @param {string} waiting
 * @returns {Transport}
 */
function shmloop(waiting) {
  return { module: './shmloop.mjs', options: { waiting }, sides: 'processes', cases: CASES, hasViews: true };
}

/**
 * @param {string} method of the program of ../limits
 * @param {readonly string[]} cases
 * @returns {Transport}
 */
function limit(method, cases) {
  return { module: './limit.mjs', options: { method }, sides: 'native', cases };
}
