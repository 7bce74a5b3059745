import { describe } from 'vitest';
import type { WaitingMode } from '../../../src/index.js';
import { type Place, type Rig, useRig } from '../../support/rig.js';
import { closing } from './closing.js';
import { messages } from './messages.js';
import { receiving } from './receiving.js';
import { requests } from './requests.js';
import { reserving } from './reserving.js';
import { streams } from './streams.js';

const SUITES: Record<string, (rig: Rig) => void> = { messages, receiving, reserving, requests, streams, closing };
const MODES: readonly WaitingMode[] = ['park', 'adaptive'];
const RING_SIZES = [4096, 1024 * 1024];

/** Every behaviour of a channel, wherever its two ends are, however they wait, whatever their rings. */
export function conformance(place: Place): void {
  for (const waiting of MODES) {
    for (const ringSize of RING_SIZES) {
      describe(`${place}, ${waiting}, rings of ${ringSize} bytes`, () => {
        const rig = useRig(place, waiting, ringSize);
        for (const [name, suite] of Object.entries(SUITES)) describe(name, () => suite(rig));
      });
    }
  }
}
