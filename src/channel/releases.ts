import type { Port } from '../link/index.js';

/** Ids that fit into the text of a control message. */
const AT_ONCE = 50;
/** Releases that may wait to be told while further messages in regions are taken. */
const MAX_WAITING = 65_536;

/** Tells by the control socket which messages were released: one at a time, and many where it does not keep up. */
export class Releases {
  readonly #port: Port;
  #freed: () => void;
  readonly #waiting: number[] = [];
  #isTelling = false;

  /** @param freed is called when there is room again */
  constructor(port: Port, freed: () => void) {
    this.#port = port;
    this.#freed = freed;
  }

  /** Whether more may be added: a peer that does not hear of them shall not make this end hold ever more. */
  get hasRoom(): boolean {
    return this.#waiting.length < MAX_WAITING;
  }

  /** Nobody wants to hear of room any more. */
  close(): void {
    this.#freed = () => undefined;
  }

  add(id: number): void {
    this.#waiting.push(id);
    this.#tell();
  }

  #tell(): void {
    while (!this.#isTelling && this.#waiting.length > 0) {
      const wasFull = !this.hasRoom;
      const [ring, ...others] = this.#waiting.splice(0, AT_ONCE);
      if (wasFull && this.hasRoom) this.#freed();
      this.#isTelling = true;
      this.#port.tell({ kind: 'released', ring, text: others.join(' ') }, undefined, this.#sent);
    }
  }

  readonly #sent = (): void => {
    this.#isTelling = false;
    // Not from within the socket's own step.
    if (this.#waiting.length > 0) queueMicrotask(() => this.#tell());
  };
}
