import { internals, type Status, type StreamRequest, type TcpHandle } from './internals.js';

type Method<A extends unknown[], R> = (this: TcpHandle, ...args: A) => R;

/** Node's own methods of a TCP handle, whatever stands before them. */
interface Methods {
  readStart: Method<[], Status>;
  readStop: Method<[], Status>;
  shutdown: Method<[StreamRequest], Status>;
  writev: Method<[StreamRequest, (Uint8Array | string)[], boolean], Status>;
  reset: Method<[(() => void)?], Status>;
  close: Method<[(() => void)?], void>;
  ref: Method<[], void>;
  unref: Method<[], void>;
}

let methods: Methods;

/** Before anything of TCP's is replaced. */
export function captureRaw(): void {
  const { readStart, readStop, shutdown, writev, reset, close, ref, unref } = internals.TCP.prototype;
  methods = { readStart, readStop, shutdown, writev, reset, close, ref, unref } as unknown as Methods;
}

/** A TCP handle as Node made it, beneath what the switch puts before it. */
export const raw = {
  readStart: (tcp: TcpHandle): Status => methods.readStart.call(tcp),
  readStop: (tcp: TcpHandle): Status => methods.readStop.call(tcp),
  shutdown: (tcp: TcpHandle, request: StreamRequest): Status => methods.shutdown.call(tcp, request),
  reset: (tcp: TcpHandle, callback?: () => void): Status => methods.reset.call(tcp, callback),
  close: (tcp: TcpHandle, callback?: () => void): void => methods.close.call(tcp, callback),
  ref: (tcp: TcpHandle): void => methods.ref.call(tcp),
  unref: (tcp: TcpHandle): void => methods.unref.call(tcp),
  bytesRead: (tcp: TcpHandle): number => Reflect.get(internals.TCP.prototype, 'bytesRead', tcp),
  bytesWritten: (tcp: TcpHandle): number => Reflect.get(internals.TCP.prototype, 'bytesWritten', tcp),
  writeQueueSize: (tcp: TcpHandle): number => Reflect.get(internals.TCP.prototype, 'writeQueueSize', tcp),

  /**
   * Writes buffers.
   * @param done is called with the status, later
   * @returns whether the kernel took all at once: then `done` is not called
   */
  write(tcp: TcpHandle, parts: readonly Uint8Array[], done: (status: Status) => void): boolean {
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = internals;
    const request = new WriteWrap();
    request.oncomplete = (status) => done(status);
    // Kept until it is done: the kernel reads from it.
    request.handle = parts;
    const status = methods.writev.call(tcp, request, parts as Uint8Array[], true);
    if (status !== 0) setImmediate(done, status);
    return status === 0 && !streamBaseState[kLastWriteWasAsync];
  },
};
