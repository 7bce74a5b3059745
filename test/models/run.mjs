// Checks the Promela models, and that every mutant of them fails, for its own reason.
// `node test/models/run.mjs [word …]` runs only those whose line has every word.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const AT_A_TIME = 2;
const LONGEST_SECONDS = 200;
const MEGABYTES = 2000;
const DEPTH = 20_000;

const FILES = ['ring', 'events', 'broadcast'];
const SMALL_FRAMES = ['MESSAGES=8', 'LONG_MESSAGE=2', 'MAX_TIMEOUTS=0'];
const TWO_LINKS = ['LINKS=2', 'RINGS_PER_LINK=1'];
const TWO_OF_TWO = ['LINKS=2', 'RINGS_PER_LINK=2', 'ITEMS=1', 'MAX_BLOCKING_CALLS=0'];
const TWO_WORDS = ['WORDS_PER_GROUP=2', 'ITEMS=1', 'MAX_BLOCKING_CALLS=2'];

/** `cycles`: looks for a system that never comes to rest, rather than for a bad end. The slowest first. */
const MODELS = [
  { file: 'ring', name: 'a side dies at any moment', defines: ['MESSAGES=2', 'DEATH'] },
  { file: 'events', name: '3 rings of 2 items', defines: ['ITEMS=2'] },
  { file: 'events', name: '2 links of 2 rings', defines: TWO_OF_TWO },
  { file: 'ring', name: '8 messages of 1 or 2 units', defines: SMALL_FRAMES },
  { file: 'events', name: '2 links of 1 ring', defines: [...TWO_LINKS, 'ITEMS=2'] },
  { file: 'ring', name: '3 messages, 1 time-out', defines: ['MESSAGES=3', 'MAX_TIMEOUTS=1'] },
  { file: 'events', name: '3 rings come to rest', defines: ['ITEMS=1'], cycles: true },
  { file: 'events', name: '2 links come to rest', defines: [...TWO_LINKS, 'ITEMS=1'], cycles: true },
  { file: 'events', name: '2 words a group, 2 blocking calls', defines: TWO_WORDS },
  { file: 'ring', name: '2 messages, 2 time-outs', defines: ['MESSAGES=2', 'MAX_TIMEOUTS=2'] },
  { file: 'broadcast', name: 'a reader is overtaken', defines: ['CELLS=3', 'MESSAGES=7'] },
  { file: 'broadcast', name: 'a reader is waited for', defines: ['CELLS=3', 'MESSAGES=7', 'BLOCK'] },
  { file: 'broadcast', name: 'each message fills the region', defines: ['CELLS=1', 'MESSAGES=7', 'BLOCK'] },
];

const LOST = { what: 'a side sleeps for ever', error: /invalid end state/ };
const OVERRUN = { what: 'lent bytes are overrun', error: /violated \(cell\[.*==0\)/ };
const LEFT_BEHIND = { what: 'published bytes are never read', error: /violated \(\(word&15\)==8\)/ };
const UNREAD = { what: 'an item is never read', error: /violated \(items\[i\]==0\)/ };
const UNARMED = { what: 'a ring is neither read nor armed', error: /violated \(parked\[i\]/ };
const DEAF = { what: 'it sleeps where no doorbell rings', error: /violated \(asleep\[i\]/ };
const RINGS_TWICE = { what: 'a sleep is rung twice', error: /violated \(sleeps\[link\]>0\)/ };
const TORN = { what: 'a reader believes what is overwritten', error: /violated \(\(first==/ };
const RESTLESS = { what: 'it stays awake for ever', error: /non-progress cycle/ };

const MUTANTS = [
  ...mutants('ring', ['MESSAGES=2'], {
    READER_PARKS_BY_STORE: LOST,
    READER_PARKS_BY_OR: LOST,
    WRITER_PARKS_BY_STORE: LOST,
    PARK_UNPUBLISHED: LOST,
    PARK_HOLDING: LOST,
    NO_UNPARK: LOST,
    DECIDE_BY_OLD: LOST,
    WAKE_WITHOUT_CLEAR: LOST,
    WAKE_BEFORE_CLEAR: LOST,
    WAIT_WITHOUT_MARK: LOST,
    SHARED_FUTEX_BIT: LOST,
    WAKE_BY_FREE_BEFORE: LOST,
    RELEASE_WHILE_LENT: OVERRUN,
  }),
  ...mutants('ring', SMALL_FRAMES, { WAKE_BY_RELEASED: LOST }),
  ...mutants('ring', ['MESSAGES=1', 'DEATH'], { NO_DRAIN_AFTER_DEATH: LEFT_BEHIND }),
  ...mutants('events', ['ITEMS=1'], {
    LOOK_BEFORE_ASLEEP: UNREAD,
    SELECTOR_BEFORE_PENDING: UNREAD,
    PENDING_BEFORE_SELECTOR: UNREAD,
    CLEAR_SELECTOR_BY_STORE: UNREAD,
    CLEAR_PENDING_BY_STORE: UNREAD,
    IGNORE_FAILED_ARM: UNREAD,
    FORGET_AFTER_BLOCKING: UNARMED,
    DRAIN_WHEN_ASLEEP: DEAF,
    RING_WITHOUT_EXCHANGE: RINGS_TWICE,
    NO_DRAIN: RESTLESS,
  }),
  ...mutants('broadcast', [], {
    OVERWRITE_BEFORE_GIVING_UP: TORN,
    CHECK_BEFORE_COPYING: TORN,
    PUBLISH_BEFORE_PUTTING: TORN,
    WAKE_BEFORE_PUBLISHING: LOST,
    READER_PARKS_WITHOUT_A_LOOK: LOST,
  }),
  ...mutants('broadcast', ['BLOCK'], {
    WRITER_PARKS_WITHOUT_A_LOOK: LOST,
    TRUST_AN_OLD_MARK: LOST,
  }),
  ...mutants('broadcast', ['BLOCK', 'CELLS=1'], { LOOK_BEFORE_TELLING: LOST }),
  ...mutants('events', [...TWO_LINKS, 'ITEMS=2'], { ONE_ASLEEP_FOR_ALL_LINKS: UNREAD }),
];

needs('spin', ['-V'], 'spin');
needs('cc', ['--version'], 'gcc');
const scratch = mkdtempSync(join(tmpdir(), 'models-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const words = process.argv.slice(2);
const runs = [...MODELS, ...MUTANTS].filter((run) => words.every((word) => title(run).includes(word)));
const everything = runs.length === MODELS.length + MUTANTS.length;
/** By file, the statements that no run has reached yet. */
const unreached = new Map();
let passed = 0;
let failed = 0;

const queue = [...runs];
await Promise.all(Array.from({ length: AT_A_TIME }, work));
if (everything) for (const file of FILES) checkWhole(file);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function mutants(file, defines, breaks) {
  return Object.entries(breaks).map(([mutant, breaks]) => ({
    file,
    mutant,
    defines: [...defines, `MUTANT_${mutant}`],
    breaks,
    cycles: breaks === RESTLESS,
  }));
}

function needs(program, args, debianPackage) {
  if (spawnSync(program, args).error === undefined) return;
  console.error(`${program} is missing; on Debian: apt install ${debianPackage}`);
  process.exit(1);
}

function title({ file, name, mutant }) {
  return mutant === undefined ? `${file}: ${name}` : `${file}: mutant ${mutant}`;
}

async function work() {
  for (let run = queue.shift(); run !== undefined; run = queue.shift()) {
    const started = performance.now();
    const { output, replay } = await verify(run);
    const seconds = (performance.now() - started) / 1000;
    const error = run.mutant === undefined ? judgeModel(run, output) : judgeMutant(run, output);
    const cost = `${states(output)} states, ${seconds.toFixed(1)} s`;
    if (error === undefined) report(true, title(run), run.breaks === undefined ? cost : `${cost}: ${run.breaks.what}`);
    else report(false, title(run), `${error}\n${output.trimEnd()}\n${replay}`);
  }
}

function report(isGood, name, text) {
  if (isGood) passed++;
  else failed++;
  console.log(`${isGood ? 'ok    ' : 'FAILED'} ${name.padEnd(44)} ${text}`.trimEnd());
}

/** Generates, compiles and runs the verifier of one variant of a model. */
async function verify({ file, mutant, defines, cycles = false }) {
  const directory = mkdtempSync(join(scratch, `${file}-`));
  const model = join(HERE, `${file}.pml`);
  const flags = defines.map((define) => `-D${define}`);
  const generate = ['-Pcc -E -x c', '-a', ...flags, model];
  const kind = cycles ? '-DNP' : '-DSAFETY';
  // A mutant fails so soon that compiling is what takes the time.
  const effort = mutant === undefined ? '-O2' : '-O0';
  const compile = [effort, '-w', kind, '-DCOLLAPSE', `-DMEMLIM=${MEGABYTES}`, '-o', 'pan', 'pan.c'];
  const search = [`-m${DEPTH}`, ...(cycles ? ['-l'] : [])];
  let output = '';
  for (const [program, args] of [
    ['spin', generate],
    ['cc', compile],
    ['./pan', search],
  ]) {
    const { text, problem } = await execute(program, args, directory);
    output = problem === undefined ? text : `${text}${program}: ${problem}\n`;
    if (problem !== undefined) break;
  }
  const same = `${flags.join(' ')} ${model}`;
  return { output, replay: `The steps: spin -search ${same}; spin -t -p ${same}` };
}

function execute(program, args, cwd) {
  return new Promise((done) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_SECONDS * 1000 });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    child.on('error', (error) => done({ text, problem: error.message }));
    child.on('close', (code, signal) => done(code === 0 ? { text } : { text, problem: `ended by ${signal ?? code}` }));
  });
}

function states(output) {
  const stored = /([\d.e+]+) states, stored/.exec(output)?.[1];
  return stored === undefined ? '?' : Number(stored).toLocaleString('en');
}

/** @returns what is wrong with a model that must hold, after a complete search */
function judgeModel({ file }, output) {
  const errors = /errors: (\d+)/.exec(output)?.[1];
  if (errors === undefined) return 'the search did not end';
  if (errors !== '0') return 'the model fails';
  if (/max search depth too small|[Ss]earch not completed|MEMLIM/.test(output)) return 'the search is incomplete';
  note(file, output);
}

/** @returns what is wrong with a mutant that must fail */
function judgeMutant({ breaks }, output) {
  const errors = /errors: (\d+)/.exec(output)?.[1];
  if (errors === undefined) return 'the search did not end';
  if (errors === '0') return 'the mutant passes: the model does not need what it takes away';
  if (!breaks.error.test(output)) return `the mutant fails for another reason than: ${breaks.what}`;
}

function note(file, output) {
  const missed = new Set();
  for (const [, line, statement] of output.matchAll(/\.pml:(\d+), state \d+, "(.*)"/g)) {
    if (statement !== '-end-') missed.add(`line ${line}: ${statement}`);
  }
  const before = unreached.get(file) ?? missed;
  unreached.set(file, new Set([...before].filter((statement) => missed.has(statement))));
}

/** A statement that is never reached models nothing, and a mutant that is not run proves nothing. */
function checkWhole(file) {
  const never = [...(unreached.get(file) ?? [])];
  report(never.length === 0, `${file}: every statement is reached`, never.join('; '));
  const macros = new Set(readFileSync(join(HERE, `${file}.pml`), 'utf8').match(/\bMUTANT_[A-Z_]*[A-Z]\b/g));
  const run = new Set(MUTANTS.filter((mutant) => mutant.file === file).map(({ mutant }) => `MUTANT_${mutant}`));
  const notRun = [...macros].filter((macro) => !run.has(macro));
  report(notRun.length === 0, `${file}: every mutant is run`, notRun.join(', '));
}
