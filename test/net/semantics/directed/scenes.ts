/** Scenes that are played over TCP and over the drop-in, and look the same. */
import { expect, test } from 'vitest';
import { type Start, TRANSPORTS } from '../support.js';

export type Scenes = Record<string, string>;

interface Result {
  seen?: unknown;
  failed?: string;
}

/** @param scenes their sentences, by their names in the file of `fixtures/scenes` */
export function testScenes(start: Start, file: string, scenes: Scenes): void {
  test.for(Object.entries(scenes))('%s: %s', { timeout: 60_000 }, async ([scene]) => {
    const results = TRANSPORTS.map((transport) => start('scene', { transport, args: { file, scene } }).said<Result>());
    const [shm, tcp] = await Promise.all(results);
    expect(tcp).toEqual({ seen: expect.anything() });
    expect(shm).toEqual(tcp);
  });
}
