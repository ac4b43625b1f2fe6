/** One memory as a line of a context, made of texts that can be shortened. */
import { cutPlace, graphemeStart } from './cut.js';
import { escapeText } from './escape.js';
import type { JobEntry } from './job.js';
import { Scan } from './scan.js';
import type { Tokenizer } from './tokenizer.js';

const CUT_MARK = '…';
const REASONING = ' (reasoning:';

/** A text of a memory that gives way: all of it, or a beginning with `…`. */
export class Passage {
  /** What must follow the text, shortened or not: it counts with the text's last word. */
  private readonly tail: string;
  private readonly scan: Scan;
  readonly clipped: boolean;

  /** @param clipped `raw` is only the beginning of the stored text. */
  constructor(tokenizer: Tokenizer, raw: string, tail: string, clipped: boolean) {
    const text = clipped ? raw.slice(0, graphemeStart(raw, raw.length - 1)) : raw;
    // The space before it belongs to its first word.
    this.scan = new Scan(tokenizer, ` ${escapeText(text)}${clipped ? CUT_MARK : ''}${tail}`);
    this.tail = tail;
    this.clipped = clipped;
  }

  /** Whether it needs no shortening within `limit` tokens. */
  within(limit: number): boolean {
    return this.scan.within(limit);
  }

  /** Its tokens unshortened; only after within() said yes. */
  get tokens(): number {
    return this.scan.tokens;
  }

  /** The text within `limit` tokens, which must have room for the mark and the tail. */
  fit(limit: number): FittedPassage {
    if (this.within(limit)) {
      return { text: this.scan.text, tokens: this.tokens, shortened: this.clipped };
    }
    const ending = CUT_MARK + this.tail;
    const most = this.scan.text.length - (this.clipped ? ending : this.tail).length;
    for (let target = limit - 1; ; ) {
      const units = this.cut(Math.min(this.scan.prefixWithin(target), most));
      const tokens = this.scan.countWith(units, ending);
      if (tokens <= limit || target === 0) {
        return { text: this.scan.text.slice(0, units) + ending, tokens, shortened: true };
      }
      target = Math.max(0, target - (tokens - limit));
    }
  }

  /** How much of the text stays if it is cut near `place`: at least its first space. */
  private cut(place: number): number {
    const kept = this.scan.text.slice(0, cutPlace(this.scan.text, place));
    return Math.max(1, kept.trimEnd().length);
  }
}

export interface FittedPassage {
  text: string;
  tokens: number;
  shortened: boolean;
}

/** A memory's line: a head that is always whole, then its passages. */
export class Entry {
  readonly job: JobEntry;
  readonly head: string;
  /** Tokens of all that is not passages. */
  readonly fixedTokens: number;
  readonly passages: readonly Passage[];

  constructor(tokenizer: Tokenizer, job: JobEntry, textUnits: number) {
    this.job = job;
    this.head = `- [${timeText(job.timeUs)}] ${job.eventType}:`;
    const reasoning = reasoningOf(job.metadataJson);
    const content = (tail: string) => new Passage(tokenizer, job.content, tail, job.clipped);
    if (reasoning === '') {
      this.passages = [content('\n')];
      this.fixedTokens = tokenizer.count(this.head);
      return;
    }
    const clipped = reasoning.length > textUnits;
    const why = new Passage(tokenizer, reasoning.slice(0, textUnits), ')\n', clipped);
    this.passages = [content(''), why];
    this.fixedTokens = tokenizer.count(this.head) + tokenizer.count(REASONING);
  }

  /** The line, with its line end, from the fitted passages. */
  text(fitted: readonly FittedPassage[]): string {
    return this.head + fitted.map((passage) => passage.text).join(REASONING);
  }
}

/** RFC 3339 in whole seconds: finer digits cost tokens and say nothing. */
function timeText(timeUs: number): string {
  return `${new Date(Math.floor(timeUs / 1000)).toISOString().slice(0, 19)}Z`;
}

function reasoningOf(metadataJson: string): string {
  if (metadataJson === '') return '';
  const metadata: unknown = JSON.parse(metadataJson);
  if (typeof metadata !== 'object' || metadata === null || !('reasoning' in metadata)) return '';
  return typeof metadata.reasoning === 'string' ? metadata.reasoning : '';
}
