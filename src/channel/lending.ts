import type { GrantMessage, Port } from '../link/index.js';
import { broken } from './grant-messages.js';
import { Grants } from './grants.js';
import { Mappings } from './mappings.js';

/** The memory that the two ends of a channel let each other use. */
export class Lending {
  readonly grants: Grants;
  readonly mappings: Mappings;

  constructor(port: Port) {
    this.grants = new Grants(port);
    this.mappings = new Mappings(port);
    port.onFreed = () => this.grants.freed();
  }

  /** Whether either end uses, or can use, memory of the other's. */
  get isInUse(): boolean {
    return this.grants.isInUse || this.mappings.isInUse;
  }

  /** Takes what the other end says. @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION */
  hear(said: GrantMessage): void {
    const { message, descriptor } = said;
    switch (message.kind) {
      case 'map':
        return this.grants.asked(said);
      case 'mapped':
        return this.mappings.answered(said);
      case 'unmapped':
        return this.grants.unmapped(said);
      case 'revoked':
        descriptor?.close();
        return this.mappings.revoked(message.ring);
      default:
        descriptor?.close();
        throw broken(`${message.kind} where it speaks of grants`);
    }
  }

  /** The other end let go of all that it had mapped, and grants nothing any more. */
  peerGone(reason: Error): void {
    this.grants.freed();
    this.mappings.close(reason);
  }

  /** The channel is over at this end. */
  close(reason: Error): void {
    this.grants.close();
    this.mappings.close(reason);
  }
}
