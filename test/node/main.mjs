// Node's own tests, as they are and under the preload. See README.md beside this.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXCEPTIONS } from './exceptions.mjs';
import { fetchNodeTests } from './fetch.mjs';
import { runOne } from './one.mjs';

const project = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const HELP = `usage: npm run test:node -- [options] [pattern …]
  pattern       a regular expression for the names of tests, like ^parallel/test-http-
                (default: the tests of net, pipe and tcp)
  --mode MODE   auto, eager or both (default)
  --jobs N      tests at once (default 2)
  --timeout S   for one test (default 30)`;
/** The part of the tests that has to pass as they are. */
const SOUND = 0.9;
const DEFAULT = ['^(parallel|sequential)/test-(net|pipe|tcp)-'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mode: { type: 'string', default: 'both' },
    jobs: { type: 'string', default: '2' },
    timeout: { type: 'string', default: '30' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit();
}

const root = fetchNodeTests(join(project, '.cache'));
const files = list(positionals.length > 0 ? positionals : DEFAULT);
if (files.length === 0) {
  console.error(
    `no test has a name like ${positionals.join(', ')}; names are like parallel/test-net-connect-buffer.js`,
  );
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), 'shmloop-node-'));
const empty = join(work, 'empty.mjs');
writeFileSync(empty, '');

console.log(`${files.length} tests of Node's, on ${process.version}`);
const plain = await pass('as they are', empty, {});
const passing = plain.filter(({ status }) => status === 'pass').length;
// What fails anyway proves nothing.
let failures = passing >= SOUND * files.length ? 0 : 1;
for (const mode of values.mode === 'both' ? ['auto', 'eager'] : [values.mode]) failures += await compare(mode);
rmSync(work, { recursive: true });
process.exitCode = failures === 0 ? 0 : 1;

async function compare(mode) {
  const summary = join(work, `summary-${mode}`);
  const environment = { SHMLOOP_UPGRADE: mode, SHMLOOP_SUMMARY: summary };
  const results = await pass(mode, join(project, 'dist/register.js'), environment);
  const worse = results.filter(({ file, status }) => status !== 'pass' && statusOf(plain, file) === 'pass');
  const faults = worse.filter(({ file }) => EXCEPTIONS[file] === undefined);
  for (const { file } of worse) if (EXCEPTIONS[file]) console.log(`  exception: ${file}: ${EXCEPTIONS[file]}`);
  for (const { file, status, output } of faults) console.log(`  WORSE: ${file} (${status})\n${output.slice(-1500)}`);
  return faults.length + (switched(mode, summary) ? 0 : 1);
}

/** A run in which nothing switched would prove nothing. */
function switched(mode, summary) {
  const lines = readFileSync(summary, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const sum = (name) => lines.reduce((total, line) => total + line[name], 0);
  console.log(`  ${sum('switched')} connections switched, ${sum('tcp')} did not; ${sum('bytesShm')} bytes shared`);
  return mode !== 'eager' || sum('switched') > 0;
}

async function pass(name, preload, environment) {
  const results = [];
  const queue = files.filter((file) => !file.startsWith('sequential/'));
  const worker = async (slot) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      results.push(await runOne(root, file, { preload, environment, slot, seconds: Number(values.timeout) }));
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, (_, i) => worker(i + 1)));
  queue.push(...files.filter((file) => file.startsWith('sequential/')));
  await worker(1);
  const passed = results.filter(({ status }) => status === 'pass').length;
  console.log(`${name}: ${passed} of ${results.length} pass`);
  return results;
}

function list(patterns) {
  const expressions = patterns.map((pattern) => new RegExp(pattern));
  return ['parallel', 'sequential', 'async-hooks']
    .flatMap((folder) => readdirSync(join(root, 'test', folder)).map((name) => `${folder}/${name}`))
    .filter((file) => /\/test-.*\.m?js$/.test(file) && expressions.some((expression) => expression.test(file)))
    .sort();
}

function statusOf(results, file) {
  return results.find((result) => result.file === file)?.status;
}
