import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutPlace, graphemeStart } from './cut.js';
import { escapeText } from './escape.js';
import { hostileText } from './hostile.suite.js';

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

test('a cut is a boundary between grapheme clusters', () => {
  const clusters = fc.array(
    fc.constantFrom('a', ' ', 'e\u0301', '👨‍👩‍👧‍👦', '🇩🇪', '👍🏽', 'नि', '각', '用', '\r\n'),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(clusters, fc.nat(1500), (parts, at) => {
      const text = parts.join('');
      const starts = [...segmenter.segment(text)].map((segment) => segment.index);
      const place = Math.min(at, text.length);
      const expected = place === text.length ? place : starts.findLast((start) => start <= place);
      expect(graphemeStart(text, place)).toBe(expected);
    }),
  );
});

test('a cluster without end is cut between code points', () => {
  const text = `x${'\u{1e944}'.repeat(5_000)}`;
  const place = graphemeStart(text, 4_000);
  expect(place).toBeGreaterThan(3_900);
  expect(text.slice(0, place)).not.toMatch(/\p{Cs}/u);
});

test('an escape is kept whole or left out', () => {
  expect(cutPlace('ab\\*c', 3)).toBe(2);
  expect(cutPlace('ab\\\\c', 3)).toBe(2);
  expect(cutPlace('ab\\\\c', 4)).toBe(4);
  for (const at of [3, 4, 5]) expect(cutPlace('ab&lt;c', at)).toBe(2);
  expect(cutPlace('ab&lt;c', 6)).toBe(6);
  expect(cutPlace('ab&amp;c', 6)).toBe(2);
  // Behind it comes `…`, beside which they would close an emphasis.
  expect(cutPlace('__init__x', 8)).toBe(6);
  expect(cutPlace('a\\_\\_b', 5)).toBe(5);
  fc.assert(
    fc.property(hostileText, fc.nat(300), (raw, at) => {
      const text = escapeText(raw);
      const place = cutPlace(text, at);
      expect(place).toBeLessThanOrEqual(Math.min(at, text.length));
      expect(text.slice(0, place)).not.toMatch(/\p{Cs}/u);
    }),
  );
});
