import { constants } from 'node:os';
import { inspect } from 'node:util';

/** Every code of a {@link ShmloopError}, with what it means. `docs/errors.md` lists the same. */
export const ERROR_CODES = {
  ERR_SHMLOOP_UNSUPPORTED: 'this platform has no shared-memory transport',
  ERR_SHMLOOP_INVALID_ARGUMENT: 'an argument has the wrong type or is out of range',
  ERR_SHMLOOP_INVALID_NAME: 'a name does not match the pattern of names',
  ERR_SHMLOOP_RUNTIME_DIRECTORY: 'the runtime directory is not private to this user',
  ERR_SHMLOOP_PEER_REJECTED: 'the credentials of the peer are not accepted',
  ERR_SHMLOOP_HANDSHAKE: 'the peer broke the handshake or took too long',
  ERR_SHMLOOP_VERSION: 'the two ends speak different versions of the protocol',
  ERR_SHMLOOP_PROTOCOL: 'the peer broke the protocol: a value from it was out of range',
  ERR_SHMLOOP_REGION: 'a region from the peer is not sealed or not of the agreed size',
  ERR_SHMLOOP_GRANT:
    'a grant is refused: no such reference, it was revoked, there are too many, or the region is not for it',
  ERR_SHMLOOP_UNTRUSTED: 'memory that another user can change is not mapped without `trusted: true`',
  ERR_SHMLOOP_POOL: "the pool has no block of that size left, or the block is not the caller's any more",
  ERR_SHMLOOP_DIRECTION: 'the channel is one-way, and this is the other way',
  ERR_SHMLOOP_MESSAGE_SIZE: 'a message is larger than maxMessageSize, or than the protocol allows',
  ERR_SHMLOOP_CLOSED: 'the channel, server, region, pool or publisher is closed',
  ERR_SHMLOOP_BUSY: 'the channel is in use in another way: a reservation is open, or two readers',
  ERR_SHMLOOP_TIMEOUT: 'the time was up',
  ERR_SHMLOOP_EXPELLED: 'the publisher went on without this subscription, which held it up for too long',
  ERR_SHMLOOP_REMOTE: 'the handler at the other end threw',
} as const;

/** The codes that {@link ShmloopError} has. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** An error of shmloop's own, told apart by its stable `code`. */
export class ShmloopError extends Error {
  override readonly name = 'ShmloopError';

  constructor(
    /** What went wrong; stable, unlike the message. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * An argument has the wrong type, or is out of range. Also as a template, with what came from the caller: a symbol, or
 * what has no prototype, would throw in another one.
 */
export function invalid(message: string | TemplateStringsArray, ...values: unknown[]): ShmloopError {
  const text = typeof message === 'string' ? message : String.raw({ raw: message }, ...values.map(shown));
  return new ShmloopError('ERR_SHMLOOP_INVALID_ARGUMENT', text);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value);
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is an object */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw invalid('options are an object');
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is an AbortSignal, or nothing */
export function checkSignal(signal: unknown): void {
  // One of another realm, or of a test environment, is as good.
  const isSignal = (it: object) => ['aborted', 'throwIfAborted', 'addEventListener'].every((name) => name in it);
  if (signal === undefined || (typeof signal === 'object' && signal !== null && isSignal(signal))) return;
  throw invalid('signal is an AbortSignal');
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is one of the choices */
export function checkChoice(name: string, value: unknown, choices: readonly unknown[]): void {
  if (!choices.includes(value)) throw invalid`${name} is one of ${choices.join(', ')}, not ${value}`;
}

/** An error of Node's own shape, for what programs know from sockets: ECONNREFUSED, EADDRINUSE, ECONNRESET, EPIPE. */
export function systemError(code: keyof typeof constants.errno, syscall: string, detail: string): Error {
  const error = new Error(`${syscall} ${code} ${detail}`);
  return Object.assign(error, { code, errno: -constants.errno[code], syscall });
}

/** The `code` of anything that was thrown, if it has one. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}
