/**
 * Fits a session's memories into a number of tokens. Deterministic: no clock, no chance.
 *
 * 1. Every text may shrink to FLOOR_TOKENS. If the memories do not fit even so, the least
 *    important, then the oldest, are left out until they do.
 * 2. The tokens that remain are shared out like water: one level for all texts, as high as
 *    possible; a text below the level is shown whole, the others up to it, with `…`.
 *
 * Cost: a text is tokenized only up to its share, so the work follows max_tokens and not what is
 * stored. Lines end where the tokenizer splits anyway (tokenizer.ts), so the count of the whole is
 * the sum of the counts of its parts.
 */
import { Entry, type FittedPassage, type Passage } from './entry.js';
import { escapeText } from './escape.js';
import { type ContextJob, GROUPS, type Group, type RenderedContext } from './job.js';
import type { Tokenizer } from './tokenizer.js';

/** About 40 characters of prose. */
const FLOOR_TOKENS = 12;

/** Renders a context of at most `job.maxTokens` tokens. */
export function fitContext(job: ContextJob, tokenizer: Tokenizer): RenderedContext {
  const heading = `## Session Context (${escapeText(job.sessionId)})`;
  const headingTokens = tokenizer.count(heading);
  if (headingTokens > job.maxTokens) return page('', 0, [], job);
  const entries = job.entries.map((entry) => new Entry(tokenizer, entry, job.textUnits));
  for (let budget = job.maxTokens; ; ) {
    const left = budget - tokenizer.count(`${heading}\n\n`);
    const shown = chooseEntries(entries, left, tokenizer);
    if (shown.length === 0) return page(heading, headingTokens, [], job);
    const fitted = fitEntries(shown, left - fixedTokens(shown, tokenizer));
    const context = compose(heading, fitted);
    const tokens = countPage(heading, fitted, tokenizer);
    if (tokens <= job.maxTokens) return page(context, tokens, fitted, job);
    // The last line has no line end, and lost tokens by having one in the count before.
    budget -= tokens - job.maxTokens;
  }
}

interface FittedEntry {
  entry: Entry;
  passages: readonly FittedPassage[];
}

function page(
  context: string,
  tokenCount: number,
  shown: readonly FittedEntry[],
  job: ContextJob,
): RenderedContext {
  const omittedCount = job.matching - shown.length;
  const shortened = shown.some((line) => line.passages.some((passage) => passage.shortened));
  const truncated = omittedCount > 0 || shortened;
  return { context, memoryCount: shown.length, tokenCount, truncated, omittedCount };
}

/** What fits with every text at its floor, in the order given. */
function chooseEntries(entries: readonly Entry[], left: number, tokenizer: Tokenizer): Entry[] {
  const costs = new Map(entries.map((entry) => [entry, floorTokens(entry)]));
  const sizes = groupSizes(entries);
  let total = sum(costs.values()) + sum(GROUPS.map((g) => groupTokens(g, sizes[g], tokenizer)));
  // Newest first, so that of equals the last, the oldest, goes first.
  const byWorth = [...entries].sort((a, b) => b.job.importance - a.job.importance);
  while (total > left) {
    const dropped = byWorth.pop();
    if (dropped === undefined) break;
    const group = dropped.job.group;
    total -= (costs.get(dropped) ?? 0) + groupTokens(group, sizes[group], tokenizer);
    sizes[group] -= 1;
    total += groupTokens(group, sizes[group], tokenizer);
  }
  const kept = new Set(byWorth);
  return entries.filter((entry) => kept.has(entry));
}

function floorTokens(entry: Entry): number {
  const passages = entry.passages.map((p) => (p.within(FLOOR_TOKENS) ? p.tokens : FLOOR_TOKENS));
  return entry.fixedTokens + sum(passages);
}

function fixedTokens(shown: readonly Entry[], tokenizer: Tokenizer): number {
  const sizes = groupSizes(shown);
  const groups = GROUPS.map((group) => groupTokens(group, sizes[group], tokenizer));
  return sum(groups) + sum(shown.map((entry) => entry.fixedTokens));
}

function fitEntries(shown: readonly Entry[], budget: number): FittedEntry[] {
  const level = waterLevel(
    shown.flatMap((entry) => entry.passages),
    budget,
  );
  return shown.map((entry) => ({
    entry,
    passages: entry.passages.map((passage) => passage.fit(level)),
  }));
}

/** The greatest limit that, applied to each passage, keeps their sum within the budget. */
function waterLevel(passages: readonly Passage[], budget: number): number {
  let left = budget;
  for (let open = passages; ; ) {
    const level = Math.floor(left / open.length);
    const whole = open.filter((passage) => passage.within(level));
    if (whole.length === 0 || whole.length === open.length) return level;
    left -= sum(whole.map((passage) => passage.tokens));
    open = open.filter((passage) => !passage.within(level));
  }
}

function compose(heading: string, shown: readonly FittedEntry[]): string {
  let text = `${heading}\n\n`;
  for (const group of GROUPS) {
    const lines = shown.filter((line) => line.entry.job.group === group);
    if (lines.length === 0) continue;
    text += groupHeading(group, lines.length);
    for (const line of lines) text += line.entry.text(line.passages);
  }
  return text.slice(0, -1);
}

/** The sum over the parts, the last one without its line end. */
function countPage(heading: string, shown: readonly FittedEntry[], tokenizer: Tokenizer): number {
  const entries = shown.map((line) => line.entry);
  const passages = shown.flatMap((line) => line.passages);
  const fixed = tokenizer.count(`${heading}\n\n`) + fixedTokens(entries, tokenizer);
  const last = GROUPS.flatMap((group) => shown.filter((line) => line.entry.job.group === group))
    .at(-1)
    ?.passages.at(-1);
  if (last === undefined) return fixed;
  const all = fixed + sum(passages.map((passage) => passage.tokens));
  return all - last.tokens + tokenizer.count(last.text.slice(0, -1));
}

function groupHeading(group: Group, size: number): string {
  return `### ${group} (${size})\n`;
}

function groupTokens(group: Group, size: number, tokenizer: Tokenizer): number {
  return size === 0 ? 0 : tokenizer.count(groupHeading(group, size));
}

function groupSizes(entries: readonly Entry[]): Record<Group, number> {
  const sizes = Object.fromEntries(GROUPS.map((group) => [group, 0])) as Record<Group, number>;
  for (const entry of entries) sizes[entry.job.group] += 1;
  return sizes;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
