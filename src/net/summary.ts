import { appendFileSync } from '../fs.js';
import { internals, type Status, type TcpHandle } from './internals.js';
import { observe } from './observe.js';
import type { Reason } from './reasons.js';
import { connectionOf } from './switched-tcp.js';
import { reasonOf } from './transport.js';

/** What a thread did with its TCP connections: a line of `SHMLOOP_SUMMARY`. */
interface Summary {
  pid: number;
  /** Connections that went through shared memory, for some of their bytes at least. */
  switched: number;
  tcp: number;
  /** Why those on TCP were. */
  reasons: Partial<Record<Reason, number>>;
  bytesShm: number;
  bytesTcp: number;
}

const kCounted = Symbol('shmloop counted');
const open = new Set<TcpHandle>();
const summary: Summary = { pid: process.pid, switched: 0, tcp: 0, reasons: {}, bytesShm: 0, bytesTcp: 0 };
let isOn = false;

/** Appends one JSON line to a file when this thread ends. To be called before anything else of TCP's is replaced. */
export function startSummary(file: string): void {
  isOn = true;
  const { close, reset } = internals.TCP.prototype;
  internals.TCP.prototype.close = function (this: TcpHandle, callback) {
    finish(this);
    close.call(this, callback);
  };
  internals.TCP.prototype.reset = function (this: TcpHandle, callback) {
    finish(this);
    return reset.call(this, callback) as Status;
  };
  process.on('exit', () => {
    for (const tcp of open) finish(tcp);
    try {
      appendFileSync(file, `${JSON.stringify(summary)}\n`);
    } catch (error) {
      observe.debug('no summary: %s', (error as Error).message);
    }
  });
}

/** A connection is established. */
export function countConnection(tcp: TcpHandle): void {
  if (isOn) open.add(tcp);
}

/** It switched: for good or for a while. */
export function countSwitched(tcp: TcpHandle): void {
  (tcp as unknown as Record<symbol, boolean>)[kCounted] = true;
}

function finish(tcp: TcpHandle): void {
  if (!open.delete(tcp)) return;
  const shared = connectionOf(tcp)?.bytesShared ?? 0;
  summary.bytesShm += shared;
  summary.bytesTcp += tcp.bytesRead + tcp.bytesWritten - shared;
  if ((tcp as unknown as Record<symbol, boolean>)[kCounted]) {
    summary.switched++;
  } else {
    summary.tcp++;
    const reason = reasonOf(tcp);
    summary.reasons[reason] = (summary.reasons[reason] ?? 0) + 1;
  }
}
