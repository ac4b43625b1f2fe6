/**
 * Stored text made harmless for one line of markdown, and left readable.
 *
 * The text stands inside a list item, behind `- [time] event_type: `, never at the start of a line:
 * no block (heading, list, fence, quote, table, reference definition) can begin in it once line
 * ends are gone. What can is inline, and each kind is denied the one thing it cannot do without:
 * - code: every backtick is escaped;
 * - emphasis, strikethrough (* _ ~): a run behind a space can open but never close, and one between
 *   letters (snake_case) does neither for `_`; all others are escaped, so nothing ever closes;
 * - links and images: `](` is escaped; the other forms need a definition, which is a block;
 * - raw HTML and autolinks: `<` becomes `&lt;` where a tag, comment, or `<https:` could begin. So
 *   it does in `<|`, which begins the special tokens of models (`<|im_start|>`);
 * - math: `$` is escaped unless it is a price;
 * - entities and backslash escapes are themselves escaped, so the text reads back as it was stored.
 * A bare URL stays as it is: CommonMark knows no link in it.
 */

/** Line ends of every kind, tabs, and rows of spaces: one space. */
const SPACES = /[ \t\n\v\f\r\u0085\u2028\u2029]+/g;
/**
 * Controls, bidi controls (U+061C, 200E/F, 202A–E, 2066–9), U+200B, U+FEFF, tag characters, and
 * lone surrogates.
 */
const REMOVED = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u200b\ufeff\u{e0000}-\u{e007f}]/gu;
const ESCAPABLE = /[\\`*_~$&<\]]/;

/** `raw` as one line of markdown text: no construct of its own, the same text when parsed. */
export function escapeText(raw: string): string {
  const clean = raw.replace(SPACES, ' ').replace(REMOVED, '').replace(/ {2,}/g, ' ').trim();
  if (!ESCAPABLE.test(clean)) return clean;
  return (
    clean
      // First, as the others add backslashes. At the end it would escape what follows the text.
      .replace(/\\(?=[!-/:-@[-`{-~]|$)/g, '\\\\')
      .replace(/`/g, '\\`')
      .replace(/(?<=[^ ])[*~]|[*~](?=[*~])/g, '\\$&')
      .replace(/_+/g, escapeUnderscores)
      .replace(/\](?=\()/g, '\\]')
      .replace(/\$(?!\d)|(?<=[^ (])\$/g, '\\$$')
      .replace(/&(?=#?\w{1,31};)/g, '&amp;')
      .replace(/<(?=[A-Za-z/!?|])/g, '&lt;')
  );
}

function escapeUnderscores(run: string, at: number, text: string): string {
  const insideWord = isWordChar(text.charAt(at - 1)) && isWordChar(text.charAt(at + run.length));
  const opensOnly = at === 0 || text.charAt(at - 1) === ' ';
  return insideWord || opensOnly ? run : '\\_'.repeat(run.length);
}

/** Chars of the astral planes count as punctuation: an escape too many, never one too few. */
function isWordChar(char: string): boolean {
  return /^[\p{L}\p{N}]$/u.test(char);
}
