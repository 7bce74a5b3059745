// The words of the event region, which the peer shares: asleep, selector, pending.
import assert from 'node:assert/strict';
import { EventCollector, EventNotifier } from 'shmloop/event';
import { Region } from 'shmloop/memory';
import { EVENTS } from '../../../dist/layout.js';

const { region, descriptor } = Region.create(EVENTS.regionLength, 'plain');
const hostile = Region.adopt(descriptor, EVENTS.regionLength, 'plain');
const words = new Int32Array(hostile.memory);

export function play(random) {
  words.fill(0);
  const collector = new EventCollector(region);
  const notifier = new EventNotifier(region, () => true);
  let mutations = 0;
  for (let turn = 0; turn < 10; turn++) {
    for (let changes = 1 + random.below(6); changes > 0; changes--) {
      mutations++;
      const index = random.chance(50) ? random.pick([EVENTS.asleep, EVENTS.selector]) : random.below(words.length);
      words[index] = random.word();
    }
    if (random.chance(30)) notifier.notify(random.below(EVENTS.maxChannels));
    let found = 0;
    if (collector.isPending()) {
      collector.collect((port) => {
        found++;
        assert.ok(port >= 0 && port < EVENTS.maxChannels, `port ${port}`);
      });
    }
    assert.ok(found <= EVENTS.maxChannels, `${found} events`);
    if (random.chance(50)) collector.sleep();
    if (random.chance(50)) collector.wake();
  }
  return mutations;
}
