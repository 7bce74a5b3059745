import { EventEmitter } from 'node:events';

/** The emitter's own listeners, which are none of the application's. */
const OWN = ['newListener', 'removeListener'];

/** An event emitter that knows whether, and for what, somebody listens to it. */
export abstract class ListenedEmitter<T extends Record<keyof T, unknown[]>> extends EventEmitter<T> {
  constructor() {
    super();
    this.#watch();
  }

  /** Somebody is about to listen for an event. */
  protected abstract listened(event: string | symbol): void;

  /** Somebody stopped listening. */
  protected unlistened(): void {}

  /** Whether the application listens for anything. */
  protected get isListenedTo(): boolean {
    return this.eventNames().some((name) => !OWN.includes(String(name)));
  }

  /** As Node's own, which would remove the emitter's own listeners, too. */
  override removeAllListeners(...events: Parameters<EventEmitter<T>['removeAllListeners']>): this {
    super.removeAllListeners(...events);
    const names = this.eventNames().map(String);
    if (!OWN.every((name) => names.includes(name))) {
      for (const name of OWN) super.removeAllListeners(name as never);
      this.#watch();
    }
    this.unlistened();
    return this;
  }

  #watch(): void {
    const emitter = this as EventEmitter;
    // In this order: the first of them must not hear of the second, which is no listener of the application's.
    emitter.on('removeListener', () => this.unlistened());
    emitter.on('newListener', (event) => this.listened(event));
  }
}
