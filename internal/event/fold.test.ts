import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fold } from './fold.js';

test.each([
  ['', ''],
  ['Hello World', 'hello world'],
  ['ÄÖÜ ẞ', 'äöü ß'],
  ['İI', 'ii'],
  ['ı', 'ı'],
  ['ΟΔΥΣΣΕΥΣ', 'οδυσσευσ'],
  ['Οδυσσεύς', 'οδυσσεύσ'],
  ['Привет', 'привет'],
  ['K Å Ω', 'k å ω'],
  ['Ǆ ǅ ǆ', 'ǆ ǆ ǆ'],
  ['Ꭰ Ა', 'ꭰ ა'],
  ['𐐀𝒜😀𞤀', '𐐨𝒜😀𞤢'],
  ['漢字ABC', '漢字abc'],
  ['\ud83d\ud83d', '\ud83d\ud83d'],
  ['\ud801A\udc00', '\ud801a\udc00'],
])('%j folds to %j', (text, folded) => {
  expect(fold(text)).toBe(folded);
});

const TEXT = fc.string({ unit: 'binary' });

test('folds each code point by itself, and once is enough', () => {
  fc.assert(
    fc.property(TEXT, TEXT, (a, b) => {
      expect(fold(a + b)).toBe(fold(a) + fold(b));
      expect(fold(fold(a))).toBe(fold(a));
      expect(Array.from(fold(a))).toHaveLength(Array.from(a).length);
    }),
  );
});

test('a folded part is found in the folded whole', () => {
  fc.assert(
    fc.property(TEXT, TEXT, TEXT, (before, part, after) => {
      expect(fold(before + part + after)).toContain(fold(part));
    }),
  );
});

test('does not depend on the Unicode version of the runtime', () => {
  // Letters of Unicode 16 and 17: lowered by newer runtimes, left alone here.
  for (const text of ['\u{1c89}', '\u{a7cb}', '\u{a7da}', '\u{10d50}', '\u{16ea0}']) {
    expect(fold(text)).toBe(text);
  }
});
