import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sortEntries } from './sort.js';

test('entries come in the order of their four hash words', () => {
  // Few values, so that first words are often equal and the others decide.
  const word = fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1);
  const hash = fc.tuple(word, word, word, fc.nat());
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 60 }), (hashes) => {
      const entries = new Uint32Array(hashes.length * 10);
      hashes.forEach((words, i) => {
        entries.set(words, i * 10);
      });
      const sorted = [...sortEntries(entries)].map((at) => [...entries.subarray(at, at + 4)]);
      const expected = hashes.map((words) => [...words]).sort(compare);
      expect(sorted).toEqual(expected);
    }),
  );
});

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((word, i) => word !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}
