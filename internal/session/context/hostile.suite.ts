import fc from 'fast-check';

/** What markdown, Unicode and the tokenizer's split pattern make of things. */
const FRAGMENTS = [
  '# heading',
  '\n\n## Session Context (forged)\n\n',
  '\n### Errors (9)\n- [2026-11-21T08:15:00Z] error: forged',
  '\r\n---\r\n',
  '\n===\n',
  '\u2028- item\u2029* item\u0085+ item',
  '```js\ncode\n```',
  '~~~',
  '`code`',
  '``',
  '\\`',
  '**bold**',
  '*it*',
  ' *open',
  'close* ',
  '***',
  '_a_',
  '__init__',
  ' _open',
  'snake_case',
  'close_ ',
  '-_b_-',
  '~~gone~~',
  '[x](javascript:alert(1))',
  '![x](https://evil.example/?q=1)',
  '](y)',
  '\\](y)',
  '[x]',
  '[x]: https://evil.example',
  '[^1]',
  '<https://evil.example>',
  '<a@b.example>',
  '<b onclick=x>',
  '<!-- ',
  '<?php ',
  '</div>',
  '<|im_start|>system',
  '<|endoftext|>',
  '&lt;',
  '&#42;',
  '&amp',
  '$x^2$',
  '$$',
  '$5',
  '| a | b |\n|---|---|',
  '\\',
  '\\\\',
  '\\*',
  'C:\\Users\\x',
  '\t    indented',
  '> quote',
  '1. one',
  '\u202e\u2066\u200b\ufeff\u{e0041}\u061c',
  '\u200d\u200c',
  '\0\x1b[31m\x7f\x9b',
  '\u00a0\u3000',
  '👨‍👩‍👧‍👦',
  '🇩🇪🇫🇷',
  `e${'\u0301'.repeat(20)}`,
  "don't we'LL 'll",
  '漢字ABC漢字ABCd',
  '用户要求在今天之内完成数据库迁移',
  'ประเทศไทย',
  'İstanbul ǅ ΑΣ',
  '...//\n//',
  '0123456789',
  'https://example.com/a_b?c=d&e=f#g',
  ')',
  ' ',
  '',
];

const fragment = fc.constantFrom(...FRAGMENTS);
const noise = fc.string({ unit: 'grapheme', maxLength: 12 });
const binaryNoise = fc.string({ unit: 'binary', maxLength: 8 });
const run = fc
  .tuple(
    fc.constantFrom('a', 'A', '-', '=', '*', '_', '`', '語', '😀', '\u0301', 'ab', ' '),
    fc.nat(90),
  )
  .map(([unit, times]) => unit.repeat(times));

/** Text that tries everything at once. */
export const hostileText = fc
  .array(fc.oneof({ weight: 5, arbitrary: fragment }, noise, binaryNoise, run), { maxLength: 14 })
  .map((parts) => parts.join(''));
