import { ShmloopError } from '../errors.js';
import { limited, type Settler } from '../settler.js';
import type { Port } from './port.js';
import type { OwnRing } from './ring-pool.js';

/** How long a peer may say nothing at all while it is asked for channels, in milliseconds. */
const DEADLINE = 5000;

/** What was asked for. */
interface Asked {
  /** The port. */
  readonly number: number;
  readonly name: string;
  readonly ring: OwnRing | undefined;
  readonly takesShared: boolean;
}

/** A channel that was asked for. */
export interface PendingOpen extends Asked {
  /** Nobody waits any more; the answer must still come, before number and ring can serve again. */
  isGivenUp: boolean;
  settler: Settler<Port>;
}

/** The channels that this side of a link asked for and that the peer has not answered, by port. */
export class Opens {
  readonly #opens = new Map<number, PendingOpen>();
  readonly #onGivenUp: () => void;
  #heardAt = 0;

  /** @param onGivenUp is called when nobody waits for an answer any more */
  constructor(onGivenUp: () => void) {
    this.#onGivenUp = onGivenUp;
  }

  /** The peer said something: it lives, and has others to answer before. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  add(asked: Asked, settler: Settler<Port>, signal?: AbortSignal): void {
    const { number, name } = asked;
    const open: PendingOpen = { ...asked, isGivenUp: false, settler };
    const timedOut = () => {
      const isSilent = performance.now() - this.#heardAt >= DEADLINE;
      return isSilent ? new ShmloopError('ERR_SHMLOOP_TIMEOUT', `${name}: the peer does not answer`) : undefined;
    };
    open.settler = limited(settler, { signal, timeout: DEADLINE, timedOut }, (error) => this.#giveUp(open, error));
    this.#opens.set(number, open);
  }

  /** @throws ERR_SHMLOOP_PROTOCOL when nobody asked */
  take(number: number): PendingOpen {
    const open = this.#opens.get(number);
    if (open === undefined) throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer answered what nobody asked');
    this.#opens.delete(number);
    return open;
  }

  takeAll(): PendingOpen[] {
    const all = [...this.#opens.values()];
    this.#opens.clear();
    return all;
  }

  #giveUp(open: PendingOpen, error: Error): void {
    if (open.isGivenUp) return;
    open.isGivenUp = true;
    open.settler.reject(error);
    this.#onGivenUp();
  }
}
