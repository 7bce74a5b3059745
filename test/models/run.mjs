// Checks the Promela models of the protocols, and that each mutant of them fails for its own reason.
// `node test/models/run.mjs [word …]` runs those whose name has every word.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LOST = /invalid end state/;
const UNREAD = /items\[i\]==0/;
const NOT_ASLEEP = /asleep\[i\]|asleep\[0\]/;

const SMALL_FRAMES = ['MESSAGES=8', 'LONG_MESSAGE=2', 'MAX_TIMEOUTS=0'];
const TWO_LINKS = ['LINKS=2', 'RINGS_PER_LINK=1'];

// The slowest first. `cycles` looks for a system that never comes to rest, rather than for a bad end.
const MODELS = [
  { file: 'ring', name: 'a side dies', defines: ['MESSAGES=2', 'DEATH'] },
  { file: 'events', name: '3 rings of 2 items', defines: ['ITEMS=2'] },
  { file: 'events', name: '2 links of 2 rings', defines: ['LINKS=2', 'RINGS_PER_LINK=2', 'ITEMS=1', 'MAX_BLOCKING_CALLS=0'] },
  { file: 'ring', name: 'small frames', defines: SMALL_FRAMES },
  { file: 'events', name: '2 links of 1 ring', defines: [...TWO_LINKS, 'ITEMS=2'] },
  { file: 'ring', name: '3 messages, a time-out', defines: ['MESSAGES=3', 'MAX_TIMEOUTS=1'] },
  { file: 'events', name: '3 rings, comes to rest', defines: ['ITEMS=1'], cycles: true },
  { file: 'events', name: '2 links, comes to rest', defines: [...TWO_LINKS, 'ITEMS=1'], cycles: true },
  { file: 'events', name: '2 words a group, 2 blocking calls', defines: ['WORDS_PER_GROUP=2', 'ITEMS=1', 'MAX_BLOCKING_CALLS=2'] },
  { file: 'ring', name: '2 messages, 2 time-outs', defines: ['MESSAGES=2', 'MAX_TIMEOUTS=2'] },
];

const MUTANTS = [
  { file: 'ring', mutant: 'READER_PARKS_BY_STORE', breaks: LOST },
  { file: 'ring', mutant: 'READER_PARKS_BY_OR', breaks: LOST },
  { file: 'ring', mutant: 'WRITER_PARKS_BY_STORE', breaks: LOST },
  { file: 'ring', mutant: 'PARK_UNPUBLISHED', breaks: LOST },
  { file: 'ring', mutant: 'PARK_HOLDING', breaks: LOST },
  { file: 'ring', mutant: 'NO_UNPARK', breaks: LOST },
  { file: 'ring', mutant: 'DECIDE_BY_OLD', breaks: LOST },
  { file: 'ring', mutant: 'WAKE_WITHOUT_CLEAR', breaks: LOST },
  { file: 'ring', mutant: 'WAKE_BEFORE_CLEAR', breaks: LOST },
  { file: 'ring', mutant: 'WAIT_WITHOUT_MARK', breaks: LOST },
  { file: 'ring', mutant: 'SHARED_FUTEX_BIT', breaks: LOST },
  { file: 'ring', mutant: 'WAKE_BY_FREE_BEFORE', breaks: LOST },
  { file: 'ring', mutant: 'WAKE_BY_RELEASED', breaks: LOST, defines: SMALL_FRAMES },
  { file: 'ring', mutant: 'RELEASE_WHILE_LENT', breaks: /cell\[/ },
  { file: 'ring', mutant: 'NO_DRAIN_AFTER_DEATH', breaks: /\(word&15\)==8/, defines: ['MESSAGES=1', 'DEATH'] },
  { file: 'events', mutant: 'LOOK_BEFORE_ASLEEP', breaks: UNREAD },
  { file: 'events', mutant: 'SELECTOR_BEFORE_PENDING', breaks: UNREAD },
  { file: 'events', mutant: 'PENDING_BEFORE_SELECTOR', breaks: UNREAD },
  { file: 'events', mutant: 'CLEAR_SELECTOR_BY_STORE', breaks: UNREAD },
  { file: 'events', mutant: 'CLEAR_PENDING_BY_STORE', breaks: UNREAD },
  { file: 'events', mutant: 'IGNORE_FAILED_ARM', breaks: UNREAD },
  { file: 'events', mutant: 'FORGET_AFTER_BLOCKING', breaks: UNREAD },
  { file: 'events', mutant: 'DRAIN_WHEN_ASLEEP', breaks: NOT_ASLEEP },
  { file: 'events', mutant: 'ONE_ASLEEP_FOR_ALL_LINKS', breaks: UNREAD, defines: [...TWO_LINKS, 'ITEMS=2'] },
  { file: 'events', mutant: 'RING_WITHOUT_EXCHANGE', breaks: /sleeps\[link\]>0/ },
  { file: 'events', mutant: 'NO_DRAIN', breaks: /non-progress cycle/, cycles: true },
];
const MUTANT_DEFINES = { ring: ['MESSAGES=2'], events: ['ITEMS=1'] };

const AT_A_TIME = 2;
const LONGEST_SECONDS = 120;
const MEGABYTES = 2000;
const HERE = dirname(fileURLToPath(import.meta.url));
