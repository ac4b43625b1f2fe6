import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { expect, test } from 'vitest';
import { graphemeStart } from './cut.js';
import { hostileText } from './hostile.suite.js';
import { Scan } from './scan.js';
import { createTokenizer } from './tokenizer.js';

const tokenizer = createTokenizer();

/** An independent count, which refuses no special token and is quadratic in unbroken text. */
function independent(text: string): number {
  return countTokens(text, { disallowedSpecial: new Set() });
}

test('counts are those of gpt-tokenizer', () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      // Its decoder swallows a byte order mark; contexts never have one.
      const plain = text.replace(/[\ufeff\p{Cs}]/gu, '');
      expect(tokenizer.count(plain)).toBe(independent(plain));
    }),
    { numRuns: 1500 },
  );
});

test('unbroken text is counted exactly, window by window', () => {
  const letters = fc.constantFrom('a', 'b', 'e', 'th', 'ing', 'ность', '的', '用户', 'ก', 'é', 'ß');
  fc.assert(
    fc.property(fc.array(letters, { minLength: 30, maxLength: 400 }), (parts) => {
      const text = parts.join('');
      expect(tokenizer.count(text)).toBe(independent(text));
    }),
    { numRuns: 300 },
  );
  for (const unit of ['a', 'A', 'ab', '-', '=', '#', '的', '😀', '\u0301', 'verantwoordelijk']) {
    for (const times of [1, 31, 32, 33, 64, 129, 500, 1000]) {
      const text = unit.repeat(times);
      expect([unit, times, tokenizer.count(text)]).toEqual([unit, times, independent(text)]);
    }
  }
});

test('a megabyte of one letter is counted', () => {
  expect(tokenizer.count('a'.repeat(1 << 20))).toBe((1 << 20) / 8);
});

test('counts of lines, and of texts split before a space, add up', () => {
  const words = hostileText.map((text) => ` ${text.replace(/[\r\n\ufeff\p{Cs}]/gu, ' ').trim()}`);
  const line = fc.tuple(words, words).map(([a, b]) => ['- [t] x:', a, ' (reasoning:', `${b})\n`]);
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), (lines) => {
      const parts = ['## h (x_-)\n\n', ...lines.flat(), '### h (2)\n', ...lines.flat()];
      const sum = parts.reduce((total, part) => total + tokenizer.count(part), 0);
      expect(independent(parts.join(''))).toBe(sum);
    }),
    { numRuns: 500 },
  );
});

test('a scan knows the count within any limits asked before, and of every cut', () => {
  const limits = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 5 });
  fc.assert(
    fc.property(hostileText, limits, fc.nat(400), (raw, asked, at) => {
      const text = ` ${raw.replace(/\s+/g, ' ').trim().replaceAll('\ufeff', '')}\n`;
      const scan = new Scan(tokenizer, text);
      const count = tokenizer.count(text);
      for (const limit of asked.sort((a, b) => a - b)) {
        expect(scan.within(limit)).toBe(count <= limit);
        if (scan.within(limit)) expect(scan.tokens).toBe(count);
        const kept = scan.prefixWithin(limit);
        expect(tokenizer.count(text.slice(0, kept))).toBeLessThanOrEqual(limit);
      }
      const kept = Math.max(1, text.slice(0, graphemeStart(text, at)).trimEnd().length);
      const cut = `${text.slice(0, kept)}…)\n`;
      expect(scan.countWith(kept, '…)\n')).toBe(tokenizer.count(cut));
    }),
    { numRuns: 1500 },
  );
});
