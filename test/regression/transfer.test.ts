import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { useKeep } from '../support/keep.js';
import { pattern } from '../support/ring.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

/** Transfers the memory behind a message, where that is possible. */
function transfer(message: Buffer): Buffer | undefined {
  try {
    const memory = structuredClone(message.buffer as ArrayBuffer, { transfer: [message.buffer as ArrayBuffer] });
    return Buffer.from(memory, 0, memory.byteLength);
  } catch (error) {
    expect(error).toMatchObject({ name: 'DataCloneError' });
    return undefined;
  }
}

async function receive(channel: Channel, count: number): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const message of channel) {
    all.push(message);
    if (all.length === count) break;
  }
  return all;
}

describe('transferring the memory of a received message', () => {
  test.each([1, 40, 1000, 5000])('of %i bytes leaves those received with it and after it whole', async (length) => {
    const [near, far] = await open.pair();
    const sent = Array.from({ length: 20 }, (_, i) => pattern(length, i));
    for (const message of sent) near.send(message);
    const received = await receive(far, 10);
    transfer(received[0] as Buffer);
    received.push(...(await receive(far, 10)));
    expect(received.slice(1).map((message, i) => message.equals(sent[i + 1] as Buffer))).toEqual(Array(19).fill(true));
  });

  test.each([20_000, 300_000])('of %i bytes takes it from the messages that come after it', async (length) => {
    const [near, far] = await open.pair();
    near.send(pattern(length, 1));
    const [first] = await receive(far, 1);
    const taken = transfer(first as Buffer);
    for (let i = 2; i < 12; i++) {
      near.send(pattern(length, i));
      const [message] = await receive(far, 1);
      expect(message?.equals(pattern(length, i))).toBe(true);
    }
    const kept = taken ?? (first as Buffer);
    expect(kept.subarray(0, length).equals(pattern(length, 1))).toBe(true);
  });
});
