import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { fold } from './fold.js';

/** Needs DuckDB: the table of fold.ts must be that of the engine which reads the stored rows. */
test('folds every code point as the store does', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const points = 'SELECT unnest(generate_series(1, 1114111)) AS n';
  const reader = await connection.runAndReadAll(
    `SELECT n::INTEGER, ord(replace(lower(chr(n::INTEGER)), 'ς', 'σ'))
     FROM (${points}) WHERE n NOT BETWEEN 55296 AND 57343`,
  );
  const wrong = reader
    .getRows()
    .filter(([n, lower]) => fold(String.fromCodePoint(Number(n))).codePointAt(0) !== Number(lower));
  expect(wrong).toEqual([]);
  expect(reader.currentRowCount).toBe(0x10ffff - 2048);
  connection.closeSync();
  instance.closeSync();
}, 60_000);

test('folds mixed text as the store does', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const texts = ['ΑΣ ΑΣ. Σ', 'ΜΆΪΟΣ\u0301', 'İstanbul IĞDIR', 'Straẞe', '你好ABC😀Ä', 'ÀÉ\u{1c89}'];
  for (const text of texts) {
    const reader = await connection.runAndReadAll("SELECT replace(lower($1), 'ς', 'σ')", [text]);
    expect(fold(text)).toBe(reader.getRows()[0]?.[0]);
  }
  connection.closeSync();
  instance.closeSync();
});
