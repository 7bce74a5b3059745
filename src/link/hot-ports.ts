import type { Port } from './port.js';

/** Ports polled without being notified: looking at more costs more than their notifications. */
const MAX_HOT = 8;
/** Ports that work in one look: the domain knows the time between two. */
const MOST_WORKING = 32;
/** Looks without work after which a port is armed again. */
const MAX_QUIET = 1024;

/** The ports of a link that are polled: those which were notified, and those which had work lately. */
export class HotPorts {
  readonly #ports: Port[] = [];
  /** Those before it have not been looked at since all were. */
  #next = 0;

  get length(): number {
    return this.#ports.length;
  }

  add(port: Port): void {
    port.quiet = 0;
    port.isDue = true;
    if (port.isHot || port.isReleased) return;
    port.isHot = true;
    this.#ports.push(port);
  }

  remove(port: Port): void {
    if (!port.isHot) return;
    port.isHot = false;
    const last = this.#ports.pop() as Port;
    if (last !== port) this.#ports[this.#ports.indexOf(port)] = last;
  }

  /** Polls each once, or some when many have work: the others next time. @returns whether any had work */
  poll(): boolean {
    let worked = 0;
    for (let left = this.#ports.length; left > 0 && this.length > 0 && worked < MOST_WORKING; left--) {
      if (this.#poll(this.#takeNext())) worked++;
    }
    return worked > 0;
  }

  /** Arms each. @returns false when one has something to do */
  arm(): boolean {
    for (let i = this.#ports.length - 1; i >= 0; i--) {
      const port = this.#ports[i];
      if (port !== undefined) this.#arm(port);
    }
    return this.#ports.length === 0;
  }

  /** Backwards: the place of a port that is removed is taken by the last one, which had its turn. */
  #takeNext(): Port {
    if (this.#next === 0 || this.#next > this.length) this.#next = this.length;
    return this.#ports[--this.#next] as Port;
  }

  #poll(port: Port): boolean {
    port.isDue = false;
    if (port.handler?.poll()) {
      port.quiet = 0;
      return true;
    }
    if (++port.quiet > MAX_QUIET || this.#ports.length > MAX_HOT) this.#arm(port);
    return false;
  }

  /** Not before it was polled: what it was added for may be nothing that it can be armed for. */
  #arm(port: Port): void {
    if (port.isDue) return;
    if (port.handler?.arm() ?? true) this.remove(port);
  }
}
