import { invalid, ShmloopError } from '../errors.js';
import { domain } from '../event/index.js';
import { FRAME, frameLength } from '../layout.js';
import type { RingWriter } from '../ring/index.js';
import { OFFSET_LENGTH, RESERVE, TYPE } from './frames.js';
import type { Status, StreamRequest } from './internals.js';

/** How long the ring may stay full before TCP takes what does not fit, in milliseconds. */
const PATIENCE = 5;
/** Longer data is published in frames of so many bytes: the reader takes one while the next is filled. */
const MAX_PAYLOAD = 64 * 1024;
/** As long as the reader keeps up no more of the ring than this is used, which stays in the caches. */
const SHALLOW = 60 * 1024;
/** Data is not cut into smaller frames than this, to fill what is left of the ring. */
const CRUMB = 4096;
/**
 * What waits is copied up to so many bytes: a program may transfer the buffer to another thread meanwhile, whose memory
 * TCP would go on to read.
 */
const MAX_COPY = 4 * 1024 * 1024;
const HEADER = FRAME.headerLength;

/** TCP as this direction uses it, and who waits for its writes. */
export interface OutgoingOwner {
  /** Bytes that its writers gave it since the connection began. */
  written(): number;
  /** Bytes that the kernel has not taken yet. */
  queued(): number;
  /** Whether TCP was reset, or is over in both directions. */
  isTcpClosed(): boolean;
  /** Writes over TCP. @returns whether the kernel took all at once; otherwise the request completes later */
  writeTcp(parts: readonly Uint8Array[], request: StreamRequest | undefined): boolean;
  /** A write that had to wait is done. */
  completed(request: StreamRequest, status: Status): void;
  /** There is something to wait for, or no longer. */
  waitingChanged(): void;
  /** A turn is to come, although there is nothing to wait for. */
  pollSoon(): void;
  /** The ring stayed full: {@link Outgoing.overflow} is due. */
  ranOutOfPatience(): void;
}

interface Waiting {
  readonly request: StreamRequest;
  parts: readonly Uint8Array[];
  left: number;
}

interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/**
 * The writing side of one direction of a connection: TCP, or the ring, from an agreed byte on.
 *
 * What fits is published before a write returns: it is the peer's memory then, and survives this process. When
 * the ring stays full TCP takes the rest, as it would have taken all: no peer that reads late stops a writer
 * that TCP would not have stopped.
 */
export class Outgoing {
  readonly #owner: OutgoingOwner;
  #writer: RingWriter | undefined;
  readonly #capacity: number;
  readonly #maxPayload: number;
  readonly #offset = Buffer.alloc(OFFSET_LENGTH);
  /** How much of the ring is used before a write goes back to its beginning: twice what the reader was ever behind. */
  #depth = SHALLOW;
  /** Nothing was written since the event loop went round. */
  #isFresh = true;
  #via: 'tcp' | 'ring' = 'tcp';
  #isAllowed = false;
  #waiting: Waiting | undefined;
  #patience: NodeJS.Timeout | undefined;
  #hasProgressed = false;
  /** Where the last data ended, and the last {@link TYPE.skip}, in bytes since the ring began. */
  #dataEnd = 0;
  #skipEnd = 0;
  #wasUnread = false;
  /** Where the first frame of the last write ended. */
  #begunAt = 0;
  #wasCut = false;
  #hasEnded = false;
  /** Bytes of the stream that went through the ring. */
  ringBytes = 0;

  constructor(owner: OutgoingOwner, writer: RingWriter, capacity: number) {
    this.#owner = owner;
    this.#writer = writer;
    this.#capacity = capacity;
    this.#maxPayload = Math.min(writer.maxFrame - HEADER, MAX_PAYLOAD);
  }

  get isViaRing(): boolean {
    return this.#via === 'ring';
  }

  /** Bytes of a write that wait for room. */
  get waitingBytes(): number {
    return this.#waiting?.left ?? 0;
  }

  /** This side is sure of the peer. */
  confirm(): void {
    this.#put(TYPE.go);
    this.#writer?.publish();
  }

  /** The peer is sure of this side: from now on the ring may be used. */
  allow(): void {
    this.#isAllowed = true;
  }

  /** Switches to the ring, if it can be now. @returns whether writes go there */
  enter(): boolean {
    if (this.#via === 'ring') return true;
    if (!this.#isAllowed || this.#owner.queued() > 0) return false;
    if (!this.#writer?.hasRoom(this.#capacity / 2)) return false;
    this.#offset.writeDoubleLE(this.#owner.written());
    this.#put(TYPE.fromTcp, this.#offset);
    if (this.#publish()) return false;
    this.#via = 'ring';
    return true;
  }

  /** After {@link enter}. @returns whether all was written; otherwise the request completes later */
  write(request: StreamRequest, parts: Uint8Array[], length: number): boolean {
    this.#rewind(length);
    const placed = this.#place(parts, length);
    const hasLeft = this.#publish();
    // What found no room counts, too: what is this large comes again.
    this.#depth = Math.max(this.#depth, 2 * (this.#behind() + length - placed));
    if (placed === length) return true;
    const waiting: Waiting = { request, parts: after(parts, placed), left: length - placed };
    if (hasLeft) return this.#toTcp(waiting);
    // It is this side's doing that there was no room: the kernel would have taken it.
    // What `exit` listeners write has no time to wait.
    if (this.#isSkipUnread() || domain.isExiting) {
      this.#put(TYPE.toTcp);
      this.#publish();
      return this.#toTcp(waiting);
    }
    this.#wait(waiting);
    return false;
  }

  /** In each turn: goes on with what waits for room. @returns whether there was any */
  advance(): boolean {
    this.#isFresh = true;
    const waiting = this.#waiting;
    if (waiting === undefined || this.#writer === undefined) return false;
    checkWhole(waiting);
    const placed = this.#place(waiting.parts, waiting.left);
    if (placed === 0) return false;
    this.#hasProgressed = true;
    waiting.left -= placed;
    waiting.parts = after(waiting.parts, placed);
    this.#publish();
    if (waiting.left === 0) this.#complete(waiting.request);
    return true;
  }

  /** Parks until there is room. @returns false when there is */
  arm(): boolean {
    return (
      this.#waiting === undefined || this.#writer === undefined || this.#writer.park(this.#writer.maxFrame, 'event')
    );
  }

  /** TCP takes what the ring has no room for. */
  overflow(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    checkWhole(waiting);
    this.#put(TYPE.toTcp);
    if (!this.#publish()) this.#later(waiting, this.#toTcp(waiting));
  }

  /** Says that nothing follows, so that the end of TCP is no surprise. */
  end(): void {
    if (!this.#isAllowed) return;
    this.#put(TYPE.end);
    this.#publish();
    this.#hasEnded = true;
  }

  /** Whether the peer has not read all that went through the ring. */
  get isUnread(): boolean {
    return this.#writer === undefined ? this.#wasUnread : !this.#writer.hasRead(this.#dataEnd);
  }

  /** Whether the peer has read a part of a write, and not all: over TCP the rest would have been there, too. */
  get isCut(): boolean {
    if (this.#writer === undefined) return this.#wasCut;
    return this.#writer.hasRead(this.#begunAt) && !this.#writer.hasRead(this.#dataEnd);
  }

  /**
   * The ring is read no more: TCP has the rest, what nobody read first. The memory may go.
   * @throws ERR_SHMLOOP_PROTOCOL when TCP has something already that comes after what nobody read, or the end
   */
  abandon(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    const frames = framesOf(writer.recall(this.#unread()));
    const hasLeft = writer.hasReaderLeft;
    const partRead = hasLeft ? writer.partRead : 0;
    // Of what the new owner of the socket leaves unread TCP tells by itself.
    this.#wasUnread = !hasLeft && this.isUnread;
    this.#wasCut = !hasLeft && this.isCut;
    if (hasLeft && (partRead < 0 || this.#isTangled(frames))) throw tangled();
    // A peer that reset the connection reads nothing more, and the next write is to hear of the reset.
    const rest = hasLeft || !this.#owner.isTcpClosed() ? payloads(frames, partRead) : [];
    if (hasLeft && this.#hasEnded && rest.length > 0) throw tangled();
    if (this.#waiting !== undefined) checkWhole(this.#waiting);
    for (const { length } of rest) this.ringBytes -= length;
    this.#writer = undefined;
    this.#isAllowed = false;
    if (rest.length > 0) this.#owner.writeTcp(rest, undefined);
    if (this.#waiting !== undefined && this.#waiting.left > 0) this.#later(this.#waiting, this.#toTcp(this.#waiting));
    this.#via = 'tcp';
    clearTimeout(this.#patience);
  }

  /** Looks whether the peer gave its socket away: then TCP has the rest. */
  abandonIfLeft(): void {
    this.#writer?.observe();
    if (this.#writer?.hasReaderLeft) this.abandon();
  }

  /** Another process gets this end: what follows comes over TCP, for good. */
  leave(): void {
    this.overflow();
    if (this.#via === 'ring') this.#put(TYPE.toTcp);
    this.#publish();
    this.#via = 'tcp';
    this.#isAllowed = false;
  }

  /** The connection is closed. @returns the request that waits */
  close(): StreamRequest | undefined {
    clearTimeout(this.#patience);
    const request = this.#waiting?.request;
    this.#waiting = undefined;
    this.#writer = undefined;
    return request;
  }

  #unread(): number {
    return this.#writer === undefined ? 0 : this.#capacity - this.#writer.observe();
  }

  #wait(waiting: Waiting): void {
    if (waiting.left <= MAX_COPY) waiting.parts = [Buffer.concat(waiting.parts)];
    this.#waiting = waiting;
    this.#hasProgressed = false;
    if (this.#patience === undefined) this.#patience = setTimeout(() => this.#patienceEnds(), PATIENCE).unref();
    else this.#patience.refresh();
    this.#owner.waitingChanged();
  }

  /** @returns whether the kernel took all at once */
  #toTcp(waiting: Waiting): boolean {
    this.#waiting = undefined;
    this.#via = 'tcp';
    const isTaken = this.#owner.writeTcp(waiting.parts, waiting.request);
    this.#owner.waitingChanged();
    return isTaken;
  }

  /** Of a write that had to wait already nobody hears at once. */
  #later({ request }: Waiting, isTaken: boolean): void {
    if (isTaken) setImmediate(() => this.#owner.completed(request, 0));
  }

  #complete(request: StreamRequest): void {
    this.#waiting = undefined;
    this.#owner.waitingChanged();
    this.#owner.completed(request, 0);
  }

  #patienceEnds(): void {
    if (this.#waiting === undefined) return;
    if (this.#hasProgressed) {
      this.#hasProgressed = false;
      this.#patience?.refresh();
    } else {
      this.#owner.ranOutOfPatience();
    }
  }

  /** Publishes what was filled. @returns whether nobody reads it any more, and TCP has it */
  #publish(): boolean {
    const writer = this.#writer;
    writer?.publish();
    if (!writer?.hasReaderLeft) return false;
    this.abandon();
    return true;
  }

  /** Whether TCP has bytes already that come after some of these frames. */
  #isTangled(frames: readonly Frame[]): boolean {
    const last = frames.length - 1;
    return frames.some(({ type }, i) => type === TYPE.toTcp && !(this.#via === 'ring' && i === last));
  }

  /**
   * Goes back to the beginning of the ring, if nothing is in it and so much fits before this place. Not within a
   * burst: until the reader has passed the rest of the ring there is room only for as much as lies before.
   */
  #rewind(length: number): void {
    const writer = this.#writer as RingWriter;
    const { offset } = writer;
    const isFresh = this.#isFresh;
    this.#isFresh = false;
    if (offset < this.#depth || length === 0) return;
    if (!isFresh) return this.#owner.pollSoon();
    const needed = length + HEADER * Math.ceil(length / this.#maxPayload) + 2 * RESERVE;
    if (needed > offset || writer.observe() < this.#capacity) return;
    const rest = this.#capacity - offset - HEADER;
    writer.fillHeader(TYPE.skip, rest);
    writer.advance(frameLength(rest));
    this.#skipEnd = writer.position;
  }

  /** Bytes since the last skip. */
  get #sinceSkip(): number {
    return this.#skipEnd > 0 ? (this.#writer as RingWriter).position - this.#skipEnd : Number.POSITIVE_INFINITY;
  }

  /** Bytes that the reader has not read, as of the last look, the skip left out. */
  #behind(): number {
    return this.#writer === undefined ? 0 : Math.min(this.#capacity - this.#writer.free, this.#sinceSkip);
  }

  /** As of the last look: the peer may have read it since. */
  #isSkipUnread(): boolean {
    return this.#capacity - (this.#writer as RingWriter).free > this.#sinceSkip;
  }

  /** Fills frames with as much as fits. @returns bytes placed */
  #place(parts: readonly Uint8Array[], length: number): number {
    const writer = this.#writer as RingWriter;
    let placed = 0;
    let index = 0;
    let start = 0;
    while (placed < length) {
      const payload = this.#payloadFor(writer, length - placed);
      if (payload === 0) break;
      writer.fillHeader(TYPE.data, payload);
      for (let filled = 0; filled < payload; ) {
        const part = parts[index] as Uint8Array;
        const end = Math.min(part.length, start + payload - filled);
        if (end > start) writer.fill(HEADER + filled, part, start, end);
        filled += end - start;
        start = end;
        if (start === part.length) {
          index++;
          start = 0;
        }
      }
      writer.advance(frameLength(payload));
      if (placed === 0) this.#begunAt = writer.position;
      placed += payload;
      // The reader takes this while the next is filled.
      if (placed < length) writer.publish();
    }
    if (placed > 0) this.#dataEnd = writer.position;
    this.ringBytes += placed;
    return placed;
  }

  /** Bytes of the next frame, or 0 when it has to wait. */
  #payloadFor(writer: RingWriter, left: number): number {
    const wanted = Math.min(left, this.#maxPayload);
    if (writer.hasRoom(frameLength(wanted) + RESERVE)) return wanted;
    const payload = (writer.observe() - RESERVE - HEADER) & -8;
    return payload >= Math.min(CRUMB, this.#maxPayload / 4) ? Math.min(payload, wanted) : 0;
  }

  #put(type: number, payload?: Uint8Array): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    const length = payload?.length ?? 0;
    writer.fillHeader(type, length);
    if (payload !== undefined) writer.fill(HEADER, payload, 0, length);
    writer.advance(frameLength(length));
  }
}

/** What is left of the parts after so many bytes. */
function after(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const part of parts) {
    if (skip < part.length) rest.push(part.subarray(skip));
    skip = Math.max(0, skip - part.length);
  }
  return rest;
}

/** The data in frames, from `skip` bytes into the first one. */
function payloads(frames: readonly Frame[], skip: number): Uint8Array[] {
  return frames
    .map(({ type, payload }, i) => (type === TYPE.data ? payload.subarray(i === 0 ? skip : 0) : payload.subarray(0, 0)))
    .filter((payload) => payload.length > 0);
}

/** The frames in a span of the ring, up to one that the peer has made nonsense of meanwhile. */
function framesOf(span: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + HEADER <= span.length; ) {
    const length = span.readInt32LE(at + 4);
    if (length < 0 || at + frameLength(length) > span.length) break;
    frames.push({ type: span.readInt32LE(at), payload: span.subarray(at + HEADER, at + HEADER + length) });
    at += frameLength(length);
  }
  return frames;
}

/**
 * Who transfers the buffers of a long write that waits takes them from the stream.
 * @throws ERR_SHMLOOP_INVALID_ARGUMENT
 */
function checkWhole({ parts, left }: Waiting): void {
  if (parts.reduce((sum, { length }) => sum + length, 0) === left) return;
  throw invalid('a buffer was transferred before its write was done');
}

function tangled(): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the rest of the stream can no longer be put in order');
}
