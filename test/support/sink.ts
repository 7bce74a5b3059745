import type { Sink } from '../../src/channel/receiver.js';

export interface Received {
  readonly type: number;
  readonly id: number;
  readonly data: Buffer;
}

/** Takes all that a receiver gets, and wants what it is told to. */
export class TestSink implements Sink {
  readonly received: Received[] = [];
  wants: (type: number) => boolean = () => true;
  view: ((data: Buffer) => void) | undefined;

  accepts(type: number): boolean {
    return this.wants(type);
  }

  receive(type: number, id: number, data: Buffer): void {
    this.received.push({ type, id, data });
  }
}
