/** What the event loop calls when there is something to do, and what can be called without. */
interface Pumpable {
  /** Does what there is to do, without an event. */
  pump(): void;
}

/** All of this domain's control sockets and listeners that are open, and whoever else has to hear of its peer. */
export const pumpables = new Set<Pumpable>();

/** Handles what has come for this domain: where its event loop does not turn. Never while it handles something. */
export function pumpAll(): void {
  for (const pumpable of [...pumpables]) pumpable.pump();
}
