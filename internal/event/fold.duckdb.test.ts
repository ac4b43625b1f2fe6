import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { fold } from './fold.js';

// Needs DuckDB: the table of fold.ts must be that of the engine which reads the stored rows.

async function rowsOf(sql: string, values: string[] = []): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql, values)).getRows();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

test('folds every code point as the store does', async () => {
  const rows = await rowsOf(
    `SELECT n, folded FROM (
       SELECT n, ord(replace(lower(chr(n)), 'ς', 'σ')) AS folded FROM (
         SELECT unnest(generate_series(1, 55295) || generate_series(57344, 1114111))::INTEGER AS n))
     WHERE folded <> n`,
  );
  const changed = new Map(rows.map(([n, folded]) => [Number(n), Number(folded)]));
  expect(changed.size).toBeGreaterThan(1400);
  const wrong: number[] = [];
  for (let n = 1; n <= 0x10ffff; n++) {
    if (n >= 0xd800 && n <= 0xdfff) continue;
    if (fold(String.fromCodePoint(n)).codePointAt(0) !== (changed.get(n) ?? n)) wrong.push(n);
  }
  expect(wrong).toEqual([]);
}, 60_000);

test.each(['ΑΣ ΑΣ. Σ', 'ΜΆΪΟΣ\u0301', 'İstanbul IĞDIR', 'Straẞe', '你好ABC😀Ä', 'ÀÉ\u{1c89}'])(
  'folds %s as the store does',
  async (text) => {
    expect(await rowsOf("SELECT replace(lower($1), 'ς', 'σ')", [text])).toEqual([[fold(text)]]);
  },
);
