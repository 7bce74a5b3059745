import { type Port, type PortHandler, pumpables } from '../link/index.js';
import { native } from '../native.js';
import type { RingReader, RingWriter } from '../ring/index.js';
import { bufferedBehind } from './buffered.js';
import { Incoming, type IncomingOwner } from './incoming.js';
import {
  internals,
  type Status,
  type StreamRequest,
  type TcpHandle,
  UV_ECANCELED,
  UV_ECONNRESET,
  UV_EPIPE,
} from './internals.js';
import { Outgoing, type OutgoingOwner } from './outgoing.js';
import { raw } from './raw.js';
import { pumpOften } from './starved.js';

/** Who uses the connection as its stream. */
export interface Host {
  /** Memory for at most `length` bytes that arrive. */
  room(length: number): Uint8Array;
  /** Takes the first `length` bytes of what {@link room} gave. Runs code of the application. */
  deliver(memory: Uint8Array, length: number): void;
  /** Takes what `node:net` says in {@link internals} that TCP brought. Runs code of the application. */
  deliverTcp(memory: ArrayBuffer | undefined): Uint8Array | undefined;
  /** Takes the end. Runs code of the application. */
  deliverEnd(status: Status): void;
  /** A request has to wait. */
  waits(request: StreamRequest): void;
  /** A request is done. Runs code of the application. */
  completed(request: StreamRequest, status: Status): void;
  /** The memory that TCP just brought bytes to, if it is not the caller's own. */
  readonly userBuffer: Uint8Array | undefined;
}

/** What the two ends have to agree on for the bytes to go on where TCP stopped. */
export interface Counts {
  /** Bytes that were read, or written, before this process had the handle. */
  readonly read: number;
  readonly written: number;
}

/** All switched connections of this thread that are open. */
export const connections = new Set<Connection>();

let allocated = 0;

/** Bytes of the rings that these read from. */
export function memoryOfRings(): number {
  return allocated;
}

/**
 * One end of a TCP connection whose bytes may go through shared memory. The TCP socket stays open beneath: for
 * addresses, for the end, for what the rings have no room for.
 */
export class Connection implements PortHandler, IncomingOwner, OutgoingOwner {
  readonly tcp: TcpHandle;
  readonly port: Port;
  readonly #counts: Counts;
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  readonly #host: Host;
  readonly #allocated: number;
  #isClosed = false;
  #isConfirmed = false;
  /** Writes over TCP since the rings are there. */
  #tcpWrites = 0;
  #isBroken = false;
  #hasEnded = false;
  #shutdown: StreamRequest | undefined;
  /** Called when the peer is sure of this side as well. */
  onConfirmed: (() => void) | undefined;
  /** Called when the peer left without a word that it is sure: neither has used the rings. */
  onUnconfirmed: (() => void) | undefined;
  /** Called when the rings are left, for whatever reason. */
  onLeft: (() => void) | undefined;

  constructor(tcp: TcpHandle, port: Port, counts: Counts, host: Host) {
    this.tcp = tcp;
    this.port = port;
    this.#counts = counts;
    this.#host = host;
    this.#incoming = new Incoming(this, port.reader as RingReader, counts.read + raw.bytesRead(tcp));
    this.#outgoing = new Outgoing(this, port.writer as RingWriter, port.peerRing?.memory.capacity as number);
    this.#allocated = port.ring?.memory.capacity ?? 0;
    this.#outgoing.confirm();
    port.handler = this;
    port.unref();
    connections.add(this);
    allocated += this.#allocated;
    pumpables.add(this);
    if (tcp.reading) this.#incoming.start();
    this.waitingChanged();
    port.activate();
  }

  /** Whether bytes go through shared memory, or could. */
  get isSwitched(): boolean {
    return this.#isConfirmed && !this.port.isPeerGone;
  }

  get bytesShared(): number {
    return this.#incoming.ringBytes + this.#outgoing.ringBytes;
  }

  get bytesRead(): number {
    return raw.bytesRead(this.tcp) - this.#incoming.earlyBytes + this.#incoming.ringBytes;
  }

  get bytesWritten(): number {
    return raw.bytesWritten(this.tcp) + this.#outgoing.ringBytes + this.#outgoing.waitingBytes;
  }

  get writeQueueSize(): number {
    return raw.writeQueueSize(this.tcp) + this.#outgoing.waitingBytes;
  }

  readStart(): Status {
    this.#incoming.start();
    this.waitingChanged();
    return 0;
  }

  readStop(): Status {
    this.#incoming.stop();
    this.waitingChanged();
    return 0;
  }

  /** Whether a write goes to the ring; if not it is TCP's. */
  isViaRing(): boolean {
    const isViaRing = this.#guard(() => this.#outgoing.enter()) ?? true;
    if (!isViaRing && !this.#isConfirmed) pumpOften(++this.#tcpWrites);
    return isViaRing;
  }

  /** After {@link isViaRing}. Sets Node's stream state as a handle does. */
  write(request: StreamRequest, parts: Uint8Array[]): Status {
    const { streamBaseState, kBytesWritten, kLastWriteWasAsync } = internals;
    if (this.#hasEnded) return UV_EPIPE;
    let length = 0;
    for (const part of parts) length += part.length;
    const isDone = this.#guard(() => this.#outgoing.write(request, parts, length));
    if (isDone === undefined) return UV_ECONNRESET;
    if (!isDone) this.#host.waits(request);
    streamBaseState[kBytesWritten] = length;
    streamBaseState[kLastWriteWasAsync] = isDone ? 0 : 1;
    return 0;
  }

  /** Ends this side: TCP says so, after what is in the ring. */
  shutdown(request: StreamRequest): Status {
    this.#hasEnded = true;
    // The peer may be sure of this side by now: it is to hear of the end in the ring.
    if (!this.#isConfirmed) this.pump();
    if (this.#outgoing.waitingBytes > 0) {
      this.#shutdown = request;
      return 0;
    }
    this.#end();
    return raw.shutdown(this.tcp, request);
  }

  reset(callback?: () => void): Status {
    const status = raw.reset(this.tcp, callback);
    if (status === 0) this.#leave();
    return status;
  }

  /** As TCP does: with a reset when something came that nobody read. */
  close(callback?: () => void): void {
    const isUnread = this.#isBroken || this.#incoming.hasUnread();
    if (!isUnread) {
      this.flush(bufferedBehind(this.tcp));
      this.#end();
    }
    this.#leave();
    if (isUnread || this.#isBroken) this.#resetOnClose();
    raw.close(this.tcp, callback);
  }

  ref(): void {
    raw.ref(this.tcp);
    this.waitingChanged();
  }

  unref(): void {
    raw.unref(this.tcp);
    this.waitingChanged();
  }

  /**
   * This process ends: the kernel takes what it would have.
   * @param rest writes what waits behind, piece by piece, as long as TCP takes it at once
   */
  flush(rest: Iterable<Uint8Array>): void {
    if (this.#outgoing.waitingBytes > 0) this.#guard(() => this.#outgoing.overflow());
    else this.abandonIfLeft();
    // Behind a hole nothing may follow.
    if (this.#isBroken) return this.#resetOnClose();
    for (const piece of rest) {
      if (this.#outgoing.isViaRing || this.queued() > 0) return;
      raw.write(this.tcp, [piece], () => {});
    }
  }

  /**
   * Leaves the rings for good, since another process gets the socket. What nobody has read the peer sends over TCP.
   * @param tell tells the peer, while it still has its end
   * @param readNow see {@link Incoming.leave}
   * @returns what that process has to read first
   */
  detach(tell: () => void, readNow?: (length: number) => Uint8Array): Uint8Array[] {
    const rest = this.#incoming.leave(readNow);
    tell();
    this.#guard(() => this.#outgoing.leave());
    this.#leave();
    return rest;
  }

  /** If the peer gave its socket away TCP is to have what it has not read. */
  abandonIfLeft(): void {
    this.#guard(() => this.#outgoing.abandonIfLeft());
  }

  /** What TCP brings; {@link internals} says how much. Runs code of the application. */
  tcpRead(memory: ArrayBuffer | undefined): Uint8Array | undefined {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = internals;
    const status = streamBaseState[kReadBytesOrError] as number;
    if (status < 0) {
      this.#incoming.tcpEnded(status);
      this.#hearEnd();
    } else if (status > 0) {
      return this.#tcpBrought(memory, status, streamBaseState[kArrayBufferOffset] as number);
    }
    return undefined;
  }

  /** Where nothing is before the end it is told in the phase of the event loop in which TCP tells it. */
  #hearEnd(): void {
    // What the peer has left unread, and so whether this is a reset, is known when its link has been heard.
    if (!this.#isUnread()) this.poll();
    if (!this.#isClosed) this.port.activate();
  }

  /** Looks whether the peer said in the ring that it is sure, without an event. */
  pump(): void {
    if (!this.#isClosed) this.#incoming.hasUnread();
  }

  // As its link's port sees it.

  poll(): boolean {
    const worked = this.#guard(() => this.#outgoing.advance()) ?? false;
    // What waited for that may have closed this, or given it away.
    if (this.#isClosed) return worked;
    return this.#incoming.poll() || worked;
  }

  arm(): boolean {
    const isArmed = this.#incoming.arm();
    return (this.#guard(() => this.#outgoing.arm()) ?? true) && isArmed;
  }

  peerGone(error?: Error): void {
    this.#incoming.peerGone();
    // Its last word may lie in the ring still.
    if (!this.#isConfirmed) this.#incoming.hasUnread();
    // An end that TCP brought already is still to be delivered here.
    if (!this.#isConfirmed && !this.#isClosed && !this.#incoming.hasTcpEnded) return this.onUnconfirmed?.();
    if (error !== undefined) return this.broken(error);
    this.#guard(() => this.#outgoing.abandon());
  }

  // As its two directions see it.

  room(length: number): Uint8Array {
    return this.#host.room(length);
  }

  deliver(memory: Uint8Array, length: number): void {
    this.#host.deliver(memory, length);
  }

  deliverEnd(status: Status): void {
    this.waitingChanged();
    this.#host.deliverEnd(status);
  }

  peerConfirmed(): void {
    this.#isConfirmed = true;
    pumpables.delete(this);
    this.#outgoing.allow();
    // It ended before it could say so.
    if (this.#hasEnded) this.#end();
    this.onConfirmed?.();
  }

  readTcp(isReading: boolean): void {
    if (isReading) raw.readStart(this.tcp);
    else raw.readStop(this.tcp);
  }

  pollSoon(): void {
    this.port.activate();
  }

  ranOutOfPatience(): void {
    this.#guard(() => this.#outgoing.overflow());
  }

  isUnreadByPeer(): boolean {
    this.abandonIfLeft();
    return this.#isUnread();
  }

  isWriteCut(): boolean {
    return this.#guard(() => this.#outgoing.isCut) ?? true;
  }

  #isUnread(): boolean {
    return this.#guard(() => this.#outgoing.isUnread) ?? true;
  }

  /** Nothing from this peer can be trusted: the connection is reset, as far as the application sees. */
  broken(_error: Error): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#incoming.fail(UV_ECONNRESET);
    this.#cancel(UV_ECONNRESET);
    this.port.activate();
  }

  written(): number {
    return this.#counts.written + raw.bytesWritten(this.tcp);
  }

  queued(): number {
    return raw.writeQueueSize(this.tcp);
  }

  isTcpClosed(): boolean {
    return native().isTcpClosed(this.tcp.fd);
  }

  writeTcp(parts: readonly Uint8Array[], request: StreamRequest | undefined): boolean {
    return raw.write(this.tcp, parts, (status) => {
      if (request !== undefined) this.completed(request, status);
    });
  }

  completed(request: StreamRequest, status: Status): void {
    const shutdown = this.#shutdown;
    this.#shutdown = undefined;
    this.#host.completed(request, status);
    if (shutdown === undefined || this.#isClosed) return;
    this.#end();
    raw.shutdown(this.tcp, shutdown);
  }

  /** Whether this end keeps the process alive, as its socket would: while it reads, or waits to write. */
  waitingChanged(): void {
    const isWaiting = this.#incoming.isWanted || this.#outgoing.waitingBytes > 0;
    if (isWaiting && this.tcp.hasRef()) this.port.ref();
    else this.port.unref();
    if (isWaiting) this.port.activate();
  }

  #tcpBrought(memory: ArrayBuffer | undefined, length: number, offset: number): Uint8Array | undefined {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = internals;
    const now = this.#incoming.tcpArrived(length, (from) =>
      memory === undefined
        ? Uint8Array.from((this.#host.userBuffer as Uint8Array).subarray(from, length))
        : new Uint8Array(memory, offset + from, length - from),
    );
    let next: Uint8Array | undefined;
    if (now > 0) {
      streamBaseState[kReadBytesOrError] = now;
      streamBaseState[kArrayBufferOffset] = offset;
      next = this.#host.deliverTcp(memory);
    }
    if (!this.#isClosed && (this.#incoming.tcpDelivered() || now < length)) this.port.activate();
    return next;
  }

  /** Not by `reset`: after a shutdown Node's would fail, and leave the handle neither open nor closed. */
  #resetOnClose(): void {
    if (this.tcp.fd >= 0) native().resetOnClose(this.tcp.fd);
  }

  #end(): void {
    this.#guard(() => this.#outgoing.end());
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    connections.delete(this);
    allocated -= this.#allocated;
    pumpables.delete(this);
    this.#cancel(UV_ECANCELED);
    this.port.release();
    this.onLeft?.();
  }

  #cancel(status: Status): void {
    const request = this.#outgoing.close();
    if (request !== undefined) setImmediate(() => this.#host.completed(request, status));
  }

  #guard<T>(step: () => T): T | undefined {
    if (this.#isBroken) return undefined;
    try {
      return step();
    } catch (error) {
      this.broken(error as Error);
      return undefined;
    }
  }
}
