import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Policy, publish } from '../../src/index.js';
import { type Agent, agentInProcess, type Tools } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

const PROCESSES = 20;
const EACH = 50;
/** So many processes are killed in the midst of it, with all their readers. */
const KILLED = 2;
const MESSAGES = 2000;
const SEED = 0x5eed;

interface Account {
  readonly received: number;
  readonly lost: number;
  /** Of all messages that came. */
  readonly hash: string;
  readonly error: string | undefined;
}

/** Runs elsewhere: so many subscriptions, each of which hashes all that it gets. */
async function readAll(_: unknown, { shmloop, createHash, args, say }: Tools<{ each: number }>): Promise<Account[]> {
  const one = async (): Promise<() => Promise<Account>> => {
    const subscription = await shmloop.subscribe('feed');
    const hash = createHash('sha256');
    let received = 0;
    let expected = 0;
    subscription.on('lost', (count) => {
      expected += count;
    });
    subscription.on('message', (message) => {
      if (message.readUInt32LE(0) !== expected++) throw new Error('a message is missing, and not counted');
      const digest = createHash('sha256').update(message.subarray(36)).digest();
      if (!digest.equals(message.subarray(4, 36))) throw new Error('a message is not what was sent');
      hash.update(message);
      received++;
    });
    const account = new Promise<Account>((resolve) => {
      subscription.on('close', (error) => {
        const { code } = (error ?? {}) as { code?: string };
        resolve({ received, lost: subscription.lost, hash: hash.digest('hex'), error: code });
      });
    });
    return () => account;
  };
  const accounts = await Promise.all(Array.from({ length: args.each }, one));
  say('joined');
  return Promise.all(accounts.map((account) => account()));
}

/** Messages of random sizes, with a number and a digest of what follows that; the same each time. */
function makeMessages(): Buffer[] {
  let state = SEED;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
  return Array.from({ length: MESSAGES }, (_, n) => {
    const message = Buffer.alloc(36 + (random() % 1000), `${random()}`);
    message.writeUInt32LE(n);
    createHash('sha256').update(message.subarray(36)).digest().copy(message, 4);
    return message;
  });
}

for (const policy of ['block', 'drop-oldest'] as Policy[]) {
  test(`1,000 readers, 100 of which are killed: all others get what they should (${policy})`, async () => {
    const publisher = open.keep(await publish('feed', { policy, capacity: 128 * 1024, timeout: 60_000 }));
    const agents: Agent[] = await Promise.all(Array.from({ length: PROCESSES }, () => open.start(agentInProcess)));
    const runs = agents.map((agent) => agent.start(readAll, { role: 'none', args: { each: EACH } }));
    await Promise.all(runs.map((run) => run.said()));
    expect(publisher.subscribers).toBe(PROCESSES * EACH);
    const messages = makeMessages();
    const kills: Promise<unknown>[] = [];
    for (const [n, message] of messages.entries()) {
      if (!publisher.send(message)) await publisher.drained();
      if (n % 20 === 0) await new Promise(setImmediate);
      if (n === MESSAGES / 2) kills.push(...agents.slice(0, KILLED).map((agent) => agent.kill()));
    }
    await Promise.all(kills);
    await publisher.close();
    const whole = createHash('sha256');
    for (const message of messages) whole.update(message);
    const hash = whole.digest('hex');
    const accounts = (await Promise.all(runs.slice(KILLED).map((run) => run.result))).flat();
    expect(accounts).toHaveLength((PROCESSES - KILLED) * EACH);
    for (const account of accounts) {
      expect(account.error).toBeUndefined();
      expect(account.received + account.lost).toBe(MESSAGES);
      if (account.lost === 0) expect(account.hash).toBe(hash);
      if (policy === 'block') expect(account.lost).toBe(0);
    }
    const lost = accounts.reduce((sum, account) => sum + account.lost, 0);
    console.log(`${policy}: ${accounts.length} readers, ${lost} of ${accounts.length * MESSAGES} messages lost`);
  });
}
