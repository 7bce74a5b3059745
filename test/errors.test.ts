import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { codeOf, ERROR_CODES, ShmloopError, systemError } from '../src/errors.js';

/** The rows of the tables of a document. */
function rows(path: string): string[][] {
  const lines = readFileSync(new URL(path, import.meta.url), 'utf8').split('\n');
  const table = lines.filter((line) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line));
  return table.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

describe('the codes of errors', () => {
  const documented = rows('../docs/errors.md').filter(([code]) => code?.startsWith('`ERR_SHMLOOP_'));

  test('are all documented, with the meaning that they have in the code, and no others', () => {
    const table = documented.map(([code, meaning]) => [code?.replaceAll('`', ''), meaning]);
    expect(Object.fromEntries(table)).toEqual(ERROR_CODES);
    expect(table.length).toBe(Object.keys(ERROR_CODES).length);
  });

  test('are each documented with what to do', () => {
    for (const [code, , advice] of documented) expect(advice?.length, code).toBeGreaterThan(10);
  });

  test('are all of one form', () => {
    for (const code of Object.keys(ERROR_CODES)) expect(code).toMatch(/^ERR_SHMLOOP_[A-Z]+(_[A-Z]+)*$/);
  });
});

test('an error of shmloop has its code, its cause, and a stack', () => {
  const cause = new Error('why');
  const error = new ShmloopError('ERR_SHMLOOP_CLOSED', 'over', { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'ShmloopError', code: 'ERR_SHMLOOP_CLOSED', message: 'over', cause });
  expect(error.stack).toContain('errors.test');
});

test('an error for what programs know from sockets has Node’s shape', () => {
  const error = systemError('ECONNREFUSED', 'connect', 'name');
  expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', errno: -111 });
  expect(error.message).toBe('connect ECONNREFUSED name');
});

test('anything that was thrown can be asked for its code', () => {
  const thrown = [undefined, null, 5, 'x', {}, { code: 'x' }];
  expect(thrown.map(codeOf)).toEqual([...Array(5).fill(undefined), 'x']);
});
