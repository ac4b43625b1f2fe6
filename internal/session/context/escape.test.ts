import fc from 'fast-check';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { expect, test } from 'vitest';
import { escapeText } from './escape.js';
import { hostileText } from './hostile.suite.js';

test.each([
  'Crawled https://example.com and found 3 product pages',
  'https://example.com/a_b?c=d&e=f#g is bare',
  'snake_case and mcp__tool__name stay',
  'a < b, c > d, 2 * 3, [INFO] done!, arr[0][1]',
  'found *.ts files in ~/src, ~5 min, $5',
  'C:\\Users\\me',
  'naïve café — 用户，完成。 👨‍👩‍👧‍👦 می‌خواهم',
])('prose stays as it is: %s', (text) => {
  expect(escapeText(text)).toBe(text);
});

test.each([
  ['[x](y)', '[x\\](y)'],
  ['![x](y)', '![x\\](y)'],
  ['`rm`', '\\`rm\\`'],
  ['**b** and *i*', '\\*\\*b\\*\\* and *i\\*'],
  ['__init__', '__init\\_\\_'],
  ['<https://e.example>', '&lt;https://e.example>'],
  ['<|endoftext|>', '&lt;|endoftext|>'],
  ['a\\*b\\', 'a\\\\\\*b\\\\'],
  ['&lt; & &', '&amp;lt; & &'],
  ['$HOME/$x', '\\$HOME/\\$x'],
  ['a\r\n\tb\u2028c\u0085d', 'a b c d'],
  ['\u202ea\u200bb\ufeffc\u{e0041}\u0000', 'abc'],
  [']\u200b(x)', '\\](x)'],
  [' \n ', ''],
])('%j becomes %j', (raw, escaped) => {
  expect(escapeText(raw)).toBe(escaped);
});

test('any text is one paragraph of text that reads back as it was', () => {
  fc.assert(
    fc.property(hostileText, (raw) => {
      const escaped = escapeText(raw);
      const [block, ...others] = fromMarkdown(`x: ${escaped} (y: ${escaped})`).children;
      expect(others).toEqual([]);
      if (block?.type !== 'paragraph') throw new Error(`a ${block?.type}`);
      expect(block.children.map((child) => child.type)).toEqual(['text']);
      const [text] = block.children;
      const plain = plainOf(raw);
      expect(text).toHaveProperty('value', `x: ${plain} (y: ${plain})`);
    }),
    { numRuns: 1500 },
  );
});

const HIDDEN =
  /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]/u;

/** What escapeText removes, said another way. */
function plainOf(raw: string): string {
  const kept = [...raw.replace(/[\s\u0085]/g, (c) => (/[\p{Zs}\ufeff]/u.test(c) ? c : ' '))].filter(
    (char) => {
      const code = char.codePointAt(0) ?? 0;
      const joiner = code === 0x200c || code === 0x200d;
      const tag = code >= 0xe0000 && code <= 0xe007f;
      const hidden = HIDDEN.test(char);
      return joiner || !(tag || hidden);
    },
  );
  return kept.join('').replace(/ +/g, ' ').trim();
}
