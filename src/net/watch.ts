import { internals, type OnRead, type TcpHandle } from './internals.js';
import { observe } from './observe.js';
import { reasonOfError } from './reasons.js';
import { settings } from './settings.js';
import { countWrites, pumpOften } from './starved.js';
import { setReason } from './transport.js';
import { Fallback, propose } from './upgrade.js';

/** A connection is worth a switch after so many reads, or writes, or bytes. */
const EXCHANGES = 8;
const BYTES = 64 * 1024;
/** After a proposal in vain, when it has carried so many times more. */
const BACKOFF = 16;

const kWatch = Symbol('shmloop watch');

interface WatchedHandle extends TcpHandle {
  [kWatch]: Watch;
}

let prototype: object | undefined;

/** A connection that this domain made is established: it switches when it has proved worth it, or at once. */
export function watchConnected(tcp: TcpHandle): void {
  const watch = new Watch(tcp);
  watch.start();
  if (settings.upgrade === 'eager') watch.propose();
}

/** Counts what goes through a connection, up to the point where that no longer matters. */
class Watch {
  readonly #tcp: TcpHandle;
  #reads = 0;
  #writes = 0;
  #factor = 1;
  #isOn = false;
  #isProposing = false;
  /** Whose reads are counted. */
  onread!: OnRead;
  readonly #counted: OnRead;

  constructor(tcp: TcpHandle) {
    this.#tcp = tcp;
    const watch = this;
    this.#counted = function (this: TcpHandle, memory) {
      watch.#reads++;
      watch.#proposeIfWorth();
      return watch.onread.call(this, memory);
    } as OnRead;
  }

  start(): void {
    setReason(this.#tcp, 'traffic');
    const handle = this.#tcp as WatchedHandle;
    handle[kWatch] = this;
    this.onread = handle.onread;
    handle.onread = this.#counted;
    this.#isOn = true;
    prototype ??= watchedPrototype();
    Object.setPrototypeOf(handle, prototype);
  }

  wrote(): void {
    this.#writes++;
    if (this.#isProposing) pumpOften(this.#writes);
    this.#proposeIfWorth();
  }

  get #isBig(): boolean {
    return this.#tcp.bytesRead + this.#tcp.bytesWritten >= BYTES * this.#factor;
  }

  propose(): void {
    this.#isProposing = true;
    setReason(this.#tcp, 'negotiating');
    propose(this.#tcp, () => this.#stop()).catch((error) => this.#failed(error));
  }

  #proposeIfWorth(): void {
    if (this.#isProposing) return;
    const exchanges = EXCHANGES * this.#factor;
    if (this.#reads >= exchanges || this.#writes >= exchanges || this.#isBig) this.propose();
  }

  #stop(): void {
    if (!this.#isOn) return;
    this.#isOn = false;
    const handle = this.#tcp;
    Object.setPrototypeOf(handle, internals.TCP.prototype);
    handle.onread = this.onread;
  }

  #failed(error: unknown): void {
    if (!(error instanceof Fallback)) observe.debug('proposal failed: %s', (error as Error).stack);
    const reason = error instanceof Fallback ? error.reason : reasonOfError(error);
    this.#isProposing = false;
    if (this.#tcp.fd < 0) return;
    this.#factor *= BACKOFF;
    this.#reads = 0;
    this.#writes = 0;
    if (!this.#isOn) this.start();
    setReason(this.#tcp, reason);
    observe.fallback(this.#tcp, reason);
  }
}

function watchedPrototype(): object {
  const { TCP } = internals as unknown as { TCP: new (type: number) => WatchedHandle };

  class WatchedTcp extends TCP {
    declare [kWatch]: Watch;

    override get onread(): OnRead {
      return this[kWatch].onread;
    }

    override set onread(onread: OnRead) {
      this[kWatch].onread = onread;
    }
  }
  countWrites(WatchedTcp.prototype, (tcp) => (tcp as WatchedHandle)[kWatch].wrote());
  Object.defineProperty(WatchedTcp, 'name', { value: 'TCP' });
  return WatchedTcp.prototype;
}
