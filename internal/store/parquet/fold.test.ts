import { afterAll, expect, test } from 'vitest';
import { fold } from '../../event/fold.js';
import { Duck } from './duck.js';
import { FOLDED_CONTENT } from './sql.js';

const duck = new Duck({
  memoryLimitBytes: 256 * 2 ** 20,
  threads: 1,
  maxConcurrent: 1,
  directories: ['/nowhere'],
  spillDirectory: '/nowhere',
});
afterAll(() => duck.close());

/** Whether SQL folds each text as event/fold.ts does, compared there, away from decoders. */
async function unequal(texts: readonly string[]): Promise<unknown[]> {
  const sql =
    `SELECT content, ${FOLDED_CONTENT} FROM ` +
    '(SELECT unnest(string_split($1, chr(10))) AS content, ' +
    'unnest(string_split($2, chr(10))) AS wanted) ' +
    `WHERE ${FOLDED_CONTENT} IS DISTINCT FROM wanted LIMIT 5`;
  return duck.query(sql, [texts.join('\n'), texts.map(fold).join('\n')]);
}

test('SQL and JavaScript fold every code point alike', async () => {
  const SLICE = 0x4000;
  for (let from = 0; from <= 0x10ffff; from += SLICE) {
    const points = Array.from({ length: SLICE }, (_, i) => from + i);
    const texts = points.map((point) => String.fromCodePoint(point));
    // NUL and halves of pairs are refused at the door; the line feed parts the texts here.
    const valid = texts.filter((text) => !/[\0\n\ud800-\udfff]/u.test(text));
    expect(await unequal(valid)).toEqual([]);
  }
});

test('and texts where neighbours could matter', async () => {
  const texts = ['ΟΔΥΣΣΕΥΣ ΣΑΣ', 'İIıi', 'Straße ẞ', 'ǅ ǆ Ǆ', 'e\u0301É', '\u{10400}\u{1F600}A'];
  expect(await unequal(texts)).toEqual([]);
});
