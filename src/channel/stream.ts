import { Duplex } from 'node:stream';
import { ShmloopError } from '../errors.js';
import type { Channel } from './channel.js';
import type { Endpoint } from './endpoint.js';
import { TYPE } from './framing.js';

/**
 * A channel as a stream of bytes. Written chunks are cut to what fits into one
 * frame, so that nothing is put together again at the other end.
 */
export class ChannelStream extends Duplex {
  readonly #channel: Channel;
  readonly #endpoint: Endpoint;
  /** What ended the channel. */
  #failure: Error | undefined;

  constructor(channel: Channel, endpoint: Endpoint) {
    const options = {
      allowHalfOpen: endpoint.limits.allowHalfOpen,
      readable: channel.canReceive,
      writable: channel.canSend,
    };
    super(options);
    this.#channel = channel;
    this.#endpoint = endpoint;
    if (endpoint.isClosed && endpoint.error !== undefined) this.destroy(endpoint.error);
    else if (endpoint.isEndDelivered || endpoint.isClosed) this.push(null);
    // The stream ends itself when all was read and all that was written is sent.
    endpoint.answersEnd = false;
    let isReceived = !channel.canReceive || endpoint.isEndDelivered;
    channel.once('end', () => {
      isReceived = true;
      this.push(null);
    });
    channel.once('close', (error) => {
      this.#failure = error;
      // What was received and not yet read is the reader's still.
      if (error === undefined ? !isReceived : this.readableLength === 0) this.destroy(error);
    });
  }

  /** As that of any `Readable`. Where the channel failed, the stream fails once all is read. */
  override read(size?: number): unknown {
    const chunk = super.read(size);
    const failure = this.#failure;
    if (failure !== undefined && this.readableLength === 0) process.nextTick(() => this.destroy(failure));
    return chunk;
  }

  override _read(): void {
    this.#endpoint.push = this.#onMessage;
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    const { outlet, port } = this.#endpoint;
    if (outlet.isEnding) return callback(new ShmloopError('ERR_SHMLOOP_CLOSED', 'this end of the channel has ended'));
    // Of a channel whose peer takes only empty messages nothing can be cut: that is for the peer to refuse.
    const step = this.#channel.maxReservation || chunk.length;
    for (let at = 0; at < chunk.length; at += step) {
      outlet.send(TYPE.message, 0, step >= chunk.length ? chunk : chunk.subarray(at, at + step));
    }
    if (outlet.sender?.queued === 0 && !port.isPeerGone) callback();
    else outlet.drained().then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#channel.end().then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#endpoint.close();
    callback(error ?? this.#endpoint.error ?? null);
  }

  readonly #onMessage = (message: Buffer): void => {
    if (!this.push(message)) this.#endpoint.push = undefined;
  };
}
