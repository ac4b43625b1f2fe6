/** Where text may be cut: between grapheme clusters, and not inside an escape. */

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
/**
 * The segmenter reads whole strings slowly, so it gets this many UTF-16 units before the cut. A
 * longer cluster (hundreds of combining marks) is cut between its code points.
 */
const LOOK_BACK = 256;
const LOOK_AHEAD = 32;

/** The greatest place at or before `at` where escaped text may end, and `…` follow. */
export function cutPlace(text: string, at: number): number {
  return beforeUnderscores(text, outsideEscape(text, graphemeStart(text, at)));
}

/**
 * An underscore between letters is not escaped, as it means nothing there. With `…` behind it, it
 * could close an emphasis.
 */
function beforeUnderscores(text: string, at: number): number {
  if (at >= text.length) return at;
  let end = at;
  while (text.charAt(end - 1) === '_' && text.charAt(end - 2) !== '\\') end -= 1;
  return end;
}

/** The start of the grapheme cluster that holds the UTF-16 unit `at`; `at` if one starts there. */
export function graphemeStart(text: string, at: number): number {
  if (at <= 0 || at >= text.length) return Math.max(0, Math.min(at, text.length));
  const from = windowStart(text, at);
  const window = text.slice(from, at + LOOK_AHEAD);
  const start = from + (segmenter.segment(window).containing(at - from)?.index ?? 0);
  return start > from || from === 0 ? start : codePointStart(text, at);
}

/** A place before `at` that is no middle of a cluster, if there is one near: a space. */
function windowStart(text: string, at: number): number {
  // Whole steps of 4 units keep pairs of regional indicators (flags) together.
  const aligned = Math.max(0, Math.floor((at - LOOK_BACK) / 4) * 4);
  const space = text.lastIndexOf(' ', at - 1);
  return Math.max(space, aligned);
}

function codePointStart(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  const previous = text.charCodeAt(at - 1);
  const insidePair = (unit & 0xfc00) === 0xdc00 && (previous & 0xfc00) === 0xd800;
  return insidePair ? at - 1 : at;
}

function outsideEscape(text: string, at: number): number {
  const entity = text.slice(Math.max(0, at - 4), at + 4).match(/&(?:lt|amp);/);
  if (entity?.index !== undefined) {
    const start = Math.max(0, at - 4) + entity.index;
    if (start < at && at < start + entity[0].length) return start;
  }
  let backslashes = 0;
  while (text.charAt(at - 1 - backslashes) === '\\') backslashes += 1;
  return backslashes % 2 === 1 ? at - 1 : at;
}
