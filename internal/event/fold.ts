import { FOLD_RANGES } from './fold.table.js';

/**
 * Case folding for substring search: the simple lowercase of each code point by itself, and ς as σ.
 *
 * Equal, for every well-formed string, to `replace(lower(text), 'ς', 'σ')` of the DuckDB that reads
 * the stored rows, so that a row is found alike before and after it is flushed. What it is not:
 * JavaScript's toLowerCase, which looks at neighbours (final sigma), makes İ two code points, and
 * knows letters that the other side does not. Folding never changes the number of code points.
 */
export function fold(text: string): string {
  return isAscii(text) ? text.toLowerCase() : foldUnits(text);
}

function isAscii(text: string): boolean {
  return !NOT_ASCII.test(text);
}

const NOT_ASCII = /[^\x00-\x7f]/;

interface FoldTables {
  /** By UTF-16 unit; surrogates map to themselves. */
  units: Uint16Array;
  /** Code points past U+FFFF, which stay there. */
  astral: Map<number, number>;
}

/** 128 KiB, made on the first text that is not ASCII. */
let tables: FoldTables | undefined;

function buildTables(): FoldTables {
  const units = Uint16Array.from({ length: 0x10000 }, (_, unit) => unit);
  const astral = new Map<number, number>();
  for (const [first, last, step, distance] of FOLD_RANGES) {
    for (let point = first; point <= last; point += step) {
      if (point > 0xffff) astral.set(point, point + distance);
      else units[point] = point + distance;
    }
  }
  return { units, astral };
}

/** Finds the runs that stay as they are and copies them whole: most text changes in few places. */
function foldUnits(text: string): string {
  tables ??= buildTables();
  const { units, astral } = tables;
  let folded = '';
  let copied = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    let lower = units[unit];
    let width = 1;
    if (unit >= 0xd800 && unit < 0xdc00) {
      const point = text.codePointAt(i) ?? unit;
      if (point <= 0xffff) continue;
      width = 2;
      lower = astral.get(point) ?? point;
      if (lower === point) {
        i += 1;
        continue;
      }
    } else if (lower === unit) continue;
    folded += text.slice(copied, i) + String.fromCodePoint(lower);
    copied = i + width;
    i = copied - 1;
  }
  return copied === 0 ? text : folded + text.slice(copied);
}
