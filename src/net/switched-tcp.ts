import { AsyncResource } from 'node:async_hooks';
import type { Connection, Host } from './connection.js';
import { internals, type OnRead, type Status, type StreamRequest, type TcpHandle } from './internals.js';
import { ParserFeed } from './parser.js';
import { runAsCallback, runReporting } from './scope.js';

type TextWriter = 'writeUtf8String' | 'writeLatin1String' | 'writeAsciiString' | 'writeUcs2String';

const TEXT_WRITERS: readonly [TextWriter, BufferEncoding][] = [
  ['writeUtf8String', 'utf8'],
  ['writeLatin1String', 'latin1'],
  ['writeAsciiString', 'latin1'],
  ['writeUcs2String', 'utf16le'],
];

const kConnection = Symbol('shmloop connection');
/** On a request that has to wait: the context of the call that issued it. */
const kScope = Symbol('shmloop scope');
const kOnRead = Symbol('shmloop onread');
/** On any TCP handle: the memory that its user reads into, if it said so. */
export const kUserBuffer = Symbol('shmloop user buffer');
/** And the memory that C++ reads into, which hears of the next one only when it delivers. */
export const kNativeBuffer = Symbol('shmloop native buffer');

/** A TCP handle whose bytes may go through shared memory. */
export interface SwitchedHandle extends TcpHandle {
  [kConnection]: Connection;
  [kOnRead]: OnRead;
  [kUserBuffer]?: Uint8Array;
  [kNativeBuffer]?: Uint8Array;
}

interface WaitingRequest extends StreamRequest {
  [kScope]?: AsyncResource;
}

let prototype: object | undefined;

/** The connection behind a handle, if it is switched. */
export function connectionOf(handle: object | null | undefined): Connection | undefined {
  return (handle as SwitchedHandle | undefined)?.[kConnection];
}

/**
 * Puts the connection before TCP on its very handle. The handle stays what it is, a TCP with its descriptor, its
 * async id and its place in the event loop; only its prototype changes, and back.
 */
export function switchHandle(tcp: TcpHandle, connection: Connection): void {
  const handle = tcp as SwitchedHandle;
  handle[kConnection] = connection;
  handle[kOnRead] = handle.onread;
  handle.onread = (memory) => connection.tcpRead(memory);
  prototype ??= switchedPrototype();
  Object.setPrototypeOf(handle, prototype);
}

export function unswitchHandle(tcp: TcpHandle): void {
  const handle = tcp as SwitchedHandle;
  Object.setPrototypeOf(handle, internals.TCP.prototype);
  handle.onread = handle[kOnRead];
  handle[kConnection] = undefined as unknown as Connection;
}

/** The application's side of a connection whose user is `node:net`, on the handle itself. */
export class HandleHost implements Host {
  readonly #handle: SwitchedHandle;
  readonly #parser: ParserFeed | undefined;
  #deliverable = 0;
  #memory: ArrayBufferLike | undefined;
  readonly #deliver = (): void => {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = internals;
    streamBaseState[kReadBytesOrError] = this.#deliverable;
    streamBaseState[kArrayBufferOffset] = this.#offset;
    this.#handle.onread(this.#memory as ArrayBuffer);
  };
  #offset = 0;

  constructor(handle: TcpHandle) {
    this.#handle = handle as SwitchedHandle;
    this.#parser = ParserFeed.of(handle);
  }

  get userBuffer(): Uint8Array | undefined {
    return this.#handle[kNativeBuffer];
  }

  room(length: number): Uint8Array {
    if (this.#parser?.isWanted) return this.#parser.room(length);
    const user = this.#handle[kUserBuffer];
    // Shared with no other read: the application may transfer it to another thread.
    return user === undefined ? Buffer.allocUnsafeSlow(length) : user.subarray(0, length);
  }

  deliver(memory: Uint8Array, length: number): void {
    if (this.#parser?.isWanted) return this.#feed(memory, length);
    if (this.#handle[kUserBuffer] !== undefined) return this.#deliverToUser(length);
    this.#deliverable = length;
    this.#memory = memory.buffer;
    this.#offset = memory.byteOffset;
    runAsCallback(this.#handle, this.#deliver);
  }

  deliverTcp(memory: ArrayBuffer | undefined): Uint8Array | undefined {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = internals;
    if (this.#parser?.isWanted) {
      const [length, offset] = [streamBaseState[kReadBytesOrError], streamBaseState[kArrayBufferOffset]];
      this.#parser.feed(new Uint8Array(memory as ArrayBuffer, offset, length));
      return undefined;
    }
    const handle = this.#handle;
    const source = handle[kNativeBuffer];
    if (source === undefined) return handle.onread(memory);
    const length = streamBaseState[kReadBytesOrError] as number;
    for (let at = 0; at < length; ) {
      const user = handle[kUserBuffer] as Uint8Array;
      const part = Math.min(length - at, user.length);
      if (user !== source) user.set(source.subarray(at, at + part));
      streamBaseState[kReadBytesOrError] = part;
      this.#readByUser();
      at += part;
    }
    handle[kNativeBuffer] = handle[kUserBuffer];
    return handle[kUserBuffer];
  }

  deliverEnd(status: Status): void {
    this.#deliverable = status;
    this.#memory = undefined;
    this.#offset = 0;
    runAsCallback(this.#handle, this.#deliver);
  }

  waits(request: StreamRequest): void {
    (request as WaitingRequest)[kScope] = new AsyncResource('WRITEWRAP');
  }

  completed(request: StreamRequest, status: Status): void {
    const complete = () => request.oncomplete?.(status, this.#handle, undefined);
    const scope = (request as WaitingRequest)[kScope];
    if (scope === undefined) runAsCallback(this.#handle, complete);
    else runReporting(scope, complete);
  }

  /** The handle is its user's own again. */
  release(): void {
    this.#parser?.giveBack(this.#handle);
  }

  /** In the parser's own scope. */
  #feed(memory: Uint8Array, length: number): void {
    const data = length === memory.length ? memory : memory.subarray(0, length);
    runReporting(undefined, () => this.#parser?.feed(data));
  }

  #deliverToUser(length: number): void {
    const { streamBaseState, kReadBytesOrError } = internals;
    runAsCallback(this.#handle, () => {
      streamBaseState[kReadBytesOrError] = length;
      this.#readByUser();
    });
  }

  #readByUser(): void {
    const next = this.#handle.onread(undefined);
    if (next !== undefined) this.#handle[kUserBuffer] = next;
  }
}

function switchedPrototype(): object {
  const { TCP } = internals as unknown as { TCP: new (type: number) => SwitchedHandle };

  class SwitchedTcp extends TCP {
    declare [kConnection]: Connection;
    declare [kOnRead]: OnRead;

    override get onread(): OnRead {
      return this[kOnRead];
    }

    override set onread(onread: OnRead) {
      this[kOnRead] = onread;
    }

    override get bytesRead(): number {
      return this[kConnection].bytesRead;
    }

    override get bytesWritten(): number {
      return this[kConnection].bytesWritten;
    }

    override get writeQueueSize(): number {
      return this[kConnection].writeQueueSize;
    }

    override readStart(): Status {
      return this[kConnection].readStart();
    }

    override readStop(): Status {
      return this[kConnection].readStop();
    }

    override writeBuffer(request: StreamRequest, data: Uint8Array): Status {
      const connection = this[kConnection];
      return connection.isViaRing() ? connection.write(request, [data]) : super.writeBuffer(request, data);
    }

    override writev(request: StreamRequest, chunks: (Uint8Array | string)[], areBuffers: boolean): Status {
      const connection = this[kConnection];
      if (!connection.isViaRing()) return super.writev(request, chunks, areBuffers);
      return connection.write(request, areBuffers ? (chunks as Uint8Array[]) : encodeAll(chunks));
    }

    override shutdown(request: StreamRequest): Status {
      return this[kConnection].shutdown(request);
    }

    override close(callback?: () => void): void {
      this[kConnection].close(callback);
    }

    override reset(callback?: () => void): Status {
      return this[kConnection].reset(callback);
    }

    override ref(): void {
      this[kConnection].ref();
    }

    override unref(): void {
      this[kConnection].unref();
    }
  }
  for (const [name, encoding] of TEXT_WRITERS) defineTextWriter(SwitchedTcp.prototype, name, encoding);
  Object.defineProperty(SwitchedTcp, 'name', { value: 'TCP' });
  return SwitchedTcp.prototype;
}

function defineTextWriter(prototype: SwitchedHandle, name: TextWriter, encoding: BufferEncoding): void {
  const write = internals.TCP.prototype[name];
  prototype[name] = function (this: SwitchedHandle, request, text) {
    const connection = this[kConnection];
    if (!connection.isViaRing()) return write.call(this, request, text);
    return connection.write(request, [Buffer.from(text, encoding)]);
  };
}

/** Chunks alternate with their encodings. */
function encodeAll(chunks: (Uint8Array | string)[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < chunks.length; i += 2) {
    const chunk = chunks[i] as Uint8Array | string;
    parts.push(typeof chunk === 'string' ? Buffer.from(chunk, chunks[i + 1] as BufferEncoding) : chunk);
  }
  return parts;
}
