import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('../', import.meta.url);
const document = readFileSync(new URL('docs/security.md', ROOT), 'utf8');

test('the files and the tests that the threat model names are there', () => {
  const named = [...document.matchAll(/`((?:src|native|test)\/[\w./-]+\.\w+)`/g)].map(([, path]) => path as string);
  expect(named.filter((path) => path.startsWith('test/')).length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
});

test('each attack has an answer, the place that gives it, and a test', () => {
  const section = document.slice(document.indexOf('## Attacks'), document.indexOf('### One place'));
  const rows = section.split('\n').filter((line) => /^\| (?!what|-)/.test(line));
  expect(rows.length).toBeGreaterThan(15);
  for (const row of rows) {
    const [, answer, where, shown] = row.slice(1, -1).split(' | ');
    expect(answer?.trim().length, row).toBeGreaterThan(5);
    expect(where, row).toMatch(/`(src|native)\//);
    expect(shown, row).toMatch(/`test\/.*\.(test|slow)\.ts`/);
  }
});
