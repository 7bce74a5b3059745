import { setImmediate as turnOfLoop } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Incoming } from '../../src/net/incoming.js';
import type { StreamRequest } from '../../src/net/internals.js';
import { Outgoing } from '../../src/net/outgoing.js';
import { makeRing } from '../support/ring.js';

const KIB = 1024;

/** What the kernel has not been given yet. */
interface Queued {
  bytes: Buffer;
  request: StreamRequest | undefined;
}

/** Both ends of one direction, with a TCP between them that moves when it is told to. */
class Direction {
  readonly #ring;
  readonly #outgoing: Outgoing;
  readonly #incoming: Incoming;
  readonly #sent: Buffer[] = [];
  readonly #received: Buffer[] = [];
  #sentBytes = 0;
  #tcpBytes = 0;
  readonly #queue: Queued[] = [];
  #kernel = Buffer.alloc(0);
  #isReadingTcp = false;
  #isKernelWilling = true;
  #isWriting = false;
  /** Whether each end is to have a turn: it sleeps otherwise, until it is woken. */
  readonly #isAwake = { reader: true, writer: true };

  /** @param room bytes that the reader takes at a time */
  constructor(capacity: number, room: number) {
    this.#ring = makeRing(capacity);
    this.#outgoing = new Outgoing(
      {
        written: () => this.#tcpBytes,
        isTcpClosed: () => false,
        queued: () => this.#queue.reduce((sum, { bytes }) => sum + bytes.length, 0),
        writeTcp: (parts, request) => this.#writeTcp(Buffer.concat(parts), request),
        completed: () => this.#done(),
        waitingChanged: () => this.#wake('writer'),
        pollSoon: () => this.#wake('writer'),
        ranOutOfPatience: () => undefined,
      },
      this.#ring.writer,
      capacity,
    );
    this.#incoming = new Incoming(
      {
        room: (length) => Buffer.alloc(Math.min(length, room)),
        deliver: (memory, length) => this.#received.push(Buffer.from(memory.subarray(0, length))),
        deliverEnd: () => undefined,
        peerConfirmed: () => this.#outgoing.allow(),
        readTcp: (isReading) => {
          this.#isReadingTcp = isReading;
        },
        broken: (error) => {
          throw error;
        },
        isUnreadByPeer: () => false,
        isWriteCut: () => false,
      },
      this.#ring.reader,
      0,
    );
    this.#outgoing.confirm();
    this.#incoming.start();
  }

  /** One write at a time, as a socket does. */
  write(length: number): void {
    if (this.#isWriting) return;
    const bytes = Buffer.alloc(length, `${this.#sent.length} `);
    this.#sent.push(bytes);
    this.#sentBytes += length;
    const request = {} as StreamRequest;
    const isDone = this.#outgoing.enter()
      ? this.#outgoing.write(request, [bytes], length)
      : this.#writeTcp(bytes, request);
    this.#isWriting = !isDone;
  }

  /** The kernel takes what is written at once, or no more. */
  setWilling(isWilling: boolean): void {
    this.#isKernelWilling = isWilling;
  }

  kernelTakes(): void {
    for (const { bytes, request } of this.#queue.splice(0)) {
      this.#kernel = Buffer.concat([this.#kernel, bytes]);
      if (request !== undefined) this.#done();
    }
  }

  tcpBrings(atMost: number): boolean {
    if (!this.#isReadingTcp || this.#kernel.length === 0) return false;
    const came = this.#kernel.subarray(0, atMost);
    this.#kernel = this.#kernel.subarray(came.length);
    const now = this.#incoming.tcpArrived(came.length, (from) => Uint8Array.from(came.subarray(from)));
    if (now > 0) this.#received.push(came.subarray(0, now));
    if (this.#incoming.tcpDelivered() || now < came.length) this.#wake('reader');
    return true;
  }

  stopReading(): void {
    this.#incoming.stop();
  }

  startReading(): void {
    this.#incoming.start();
    this.#wake('reader');
  }

  async overflow(): Promise<void> {
    this.#outgoing.overflow();
    // Who waits hears then.
    await turnOfLoop();
  }

  /** As the domain gives one: a look, and sleep unless there is more. @returns false when it sleeps */
  turn(end: 'reader' | 'writer'): boolean {
    if (!this.#hear(end)) return false;
    if (end === 'reader') this.#incoming.poll();
    else this.#outgoing.advance();
    this.#isAwake[end] = !(end === 'reader' ? this.#incoming.arm() : this.#outgoing.arm());
    return true;
  }

  /** Everything goes on until nobody has anything to do; nobody wakes but by what wakes them. */
  async finish(): Promise<void> {
    if (!this.#incoming.isWanted) this.startReading();
    const goOn = () => this.turn('reader') || this.turn('writer') || this.tcpBrings(64 * KIB) || this.#queue.length > 0;
    while (goOn()) this.kernelTakes();
    expect(this.#received.reduce((sum, { length }) => sum + length, 0)).toBe(this.#sentBytes);
    expect(Buffer.concat(this.#received).equals(Buffer.concat(this.#sent))).toBe(true);
    await turnOfLoop();
    expect(this.#isWriting).toBe(false);
    this.#outgoing.close();
  }

  #writeTcp(bytes: Buffer, request: StreamRequest | undefined): boolean {
    this.#tcpBytes += bytes.length;
    const isTaken = this.#isKernelWilling && this.#queue.length === 0;
    this.#queue.push({ bytes, request: isTaken ? undefined : request });
    if (isTaken) this.kernelTakes();
    return isTaken;
  }

  #done(): void {
    this.#isWriting = false;
  }

  #wake(end: 'reader' | 'writer'): void {
    this.#isAwake[end] = true;
  }

  #hear(end: 'reader' | 'writer'): boolean {
    if (this.#ring.notified[end] > 0) this.#wake(end);
    this.#ring.notified[end] = 0;
    return this.#isAwake[end];
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 3000 }).map((n) => (it: Direction) => it.write(n)) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 150 * KIB }).map((n) => (it: Direction) => it.write(n)) },
  { weight: 8, arbitrary: fc.constant((it: Direction) => it.turn('reader')) },
  { weight: 3, arbitrary: fc.constant((it: Direction) => it.turn('writer')) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 64 * KIB }).map((n) => (it: Direction) => it.tcpBrings(n)) },
  { weight: 2, arbitrary: fc.constant((it: Direction) => it.kernelTakes()) },
  { weight: 2, arbitrary: fc.boolean().map((is) => (it: Direction) => it.setWilling(is)) },
  { weight: 2, arbitrary: fc.constant((it: Direction) => it.overflow()) },
  { weight: 1, arbitrary: fc.constant((it: Direction) => it.stopReading()) },
  { weight: 1, arbitrary: fc.constant((it: Direction) => it.startReading()) },
);

const room = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constant(64 * KIB));

test.each([4 * KIB, 64 * KIB, 256 * KIB])(
  'all that is written arrives in order, and nobody sleeps before it, however TCP and a ring of %i bytes take turns',
  async (capacity) => {
    await fc.assert(
      fc.asyncProperty(room, fc.array(step, { minLength: 20, maxLength: 100 }), async (bytes, steps) => {
        const direction = new Direction(capacity, bytes);
        for (const take of steps) await take(direction);
        await direction.finish();
      }),
      { numRuns: 500 },
    );
  },
);
