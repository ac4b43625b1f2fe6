import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { expect, test } from 'vitest';
import type { Event } from '../../event/event.js';
import { fitContext } from './fit.js';
import { hostileText } from './hostile.suite.js';
import type { RenderedContext } from './job.js';
import { renderContext } from './render.js';
import { createTokenizer } from './tokenizer.js';

const tokenizer = createTokenizer();
/** What the worker does, on this thread. */
const counter = {
  fit: async (job: Parameters<typeof fitContext>[0]) => fitContext(job, tokenizer),
  close: async () => {},
};

const NEWEST_US = Date.UTC(2026, 10, 21, 8, 15) * 1000;

function event(part: Partial<Event>): Event {
  return {
    timeUs: NEWEST_US,
    id: 'mem_1',
    orgId: 'org_1',
    agentId: 'agent',
    sessionId: 'sess_abc',
    memoryType: 'episodic',
    eventType: 'general',
    content: 'x',
    metadataJson: '',
    tagsCsv: '',
    dedupKey: '',
    importance: 0,
    parentId: '',
    ingestedUs: NEWEST_US,
    expiresUs: null,
    ...part,
  };
}

function render(events: Event[], maxTokens = 8000, more = 0): Promise<RenderedContext> {
  const matching = events.length + more;
  return renderContext({ sessionId: 'sess_abc', events, matching, maxTokens, counter });
}

test('the example of the contract', async () => {
  const events = [
    event({
      eventType: 'page_crawled',
      content: 'Crawled https://example.com and found 3 product pages',
    }),
    event({
      timeUs: NEWEST_US - 60e6 + 999_999,
      memoryType: 'decision',
      eventType: 'decision',
      content: 'Skip pagination',
      metadataJson: '{"reasoning":"only 2 pages deep"}',
    }),
    event({ timeUs: NEWEST_US - 120e6, content: 'Started' }),
    event({ timeUs: NEWEST_US - 180e6, memoryType: 'entity', content: 'ACME' }),
    event({ timeUs: NEWEST_US - 240e6, memoryType: 'decision', eventType: 'error', content: '!' }),
  ];
  const { context, tokenCount, ...counts } = await render(events);
  expect(context).toBe(
    `## Session Context (sess_abc)

### Recent Actions (2)
- [2026-11-21T08:15:00Z] page_crawled: Crawled https://example.com and found 3 product pages
- [2026-11-21T08:13:00Z] general: Started
### Decisions Made (1)
- [2026-11-21T08:14:00Z] decision: Skip pagination (reasoning: only 2 pages deep)
### Errors (1)
- [2026-11-21T08:11:00Z] error: !
### Other (1)
- [2026-11-21T08:12:00Z] general: ACME`,
  );
  expect(tokenCount).toBe(countTokens(context));
  expect(counts).toEqual({ memoryCount: 5, truncated: false, omittedCount: 0 });
});

test('a session without memories is its heading', async () => {
  expect(await render([])).toEqual({
    context: '## Session Context (sess_abc)',
    memoryCount: 0,
    tokenCount: countTokens('## Session Context (sess_abc)'),
    truncated: false,
    omittedCount: 0,
  });
});

test('nothing is shown if not even the heading fits', async () => {
  const sessionId = `x${'_-0q'.repeat(31)}`;
  const events = [event({})];
  const result = await renderContext({ sessionId, events, matching: 1, maxTokens: 64, counter });
  expect(result).toEqual({
    context: '',
    memoryCount: 0,
    tokenCount: 0,
    truncated: true,
    omittedCount: 1,
  });
});

test('a session id cannot emphasize', async () => {
  const ids = { sessionId: 'a-_b_-c', matching: 0, maxTokens: 64, counter };
  const { context } = await renderContext({ ...ids, events: [] });
  expect(shapeOf(context)).toEqual(['h2: Session Context (a-_b_-c)']);
});

test('metadata without a reasoning text shows none', async () => {
  for (const metadataJson of [
    '',
    '{}',
    '{"reasoning":7}',
    '{"reasoning":null}',
    '{"reasoning":""}',
  ]) {
    const { context } = await render([event({ memoryType: 'decision', metadataJson })]);
    expect(context).not.toContain('reasoning');
  }
});

test('long entries are shortened, all alike, before one is dropped', async () => {
  const content = 'The quick brown fox jumps over the lazy dog. '.repeat(400).trim();
  const events = [
    event({ content: 'short' }),
    ...Array.from({ length: 9 }, () => event({ content })),
  ];
  const result = await render(events, 1000);
  expect(result).toMatchObject({ memoryCount: 10, omittedCount: 0, truncated: true });
  expect(result.tokenCount).toBeGreaterThan(950);
  const lines = result.context.split('\n').slice(3);
  expect(lines[0]).toMatch(/general: short$/);
  expect(new Set(lines.slice(1)).size).toBe(1);
  expect(lines[1]).toMatch(/^- .* general: The quick brown fox .*\S…$/);
});

test('what fits is never shortened, up to the largest limit', async () => {
  const content = 'The quick brown fox jumps over the lazy dog. '.repeat(195).trim();
  const events = Array.from({ length: 99 }, () => event({ content }));
  const result = await render(events, 200_000);
  expect(result).toMatchObject({ memoryCount: 99, truncated: false });
  expect(result.tokenCount).toBe(countTokens(result.context));
});

test('the least important go first, then the oldest', async () => {
  const events = Array.from({ length: 40 }, (_, i) =>
    event({ content: `number ${i}`, importance: i % 2 ? 0.5 : 0, timeUs: NEWEST_US - i * 1e6 }),
  );
  const result = await render(events, 600);
  const shown = [...result.context.matchAll(/number (\d+)/g)].map((match) => Number(match[1]));
  const important = shown.filter((i) => i % 2 === 1);
  const rest = shown.filter((i) => i % 2 === 0);
  expect(important.length < 20 ? rest : important.slice(20)).toEqual([]);
  expect(important).toEqual(Array.from(important, (_, i) => 2 * i + 1));
  expect(rest).toEqual(Array.from(rest, (_, i) => 2 * i));
  expect(result).toMatchObject({ memoryCount: shown.length, omittedCount: 40 - shown.length });
});

test('memories beyond max_memories count as omitted', async () => {
  expect(await render([event({})], 8000, 7)).toMatchObject({
    memoryCount: 1,
    omittedCount: 7,
    truncated: true,
  });
});

test('a hundred memories of 64 KiB keep to the limit and end where a character does', async () => {
  for (const unit of ['a', '语', '😀', 'e\u0301', '-', ' \n', '*a', 'x0']) {
    const content = unit.repeat(Math.floor(65_536 / Buffer.byteLength(unit)));
    const events = Array.from({ length: 100 }, () => event({ content }));
    const result = await render(events);
    expect(result.memoryCount).toBe(100);
    expect(result.tokenCount).toBeLessThanOrEqual(8000);
    expect(result.tokenCount).toBe(countTokens(result.context));
    expect(result.context).not.toMatch(/\p{Cs}/u);
  }
});

const anyEvent = fc.record({
  memoryType: fc.constantFrom('episodic' as const, 'decision' as const, 'entity' as const),
  eventType: fc.constantFrom('general', 'error', 'a__b_', 'page_crawled'),
  content: hostileText,
  metadataJson: fc.oneof(
    fc.constant(''),
    hostileText.map((reasoning) => JSON.stringify({ reasoning })),
  ),
  importance: fc.constantFrom(0, 0.5, 1),
});

test('whatever is stored, only our headings and items, within the limit, counted exactly', async () => {
  const inputs = [
    fc.array(anyEvent, { maxLength: 8 }),
    fc.oneof(fc.integer({ min: 64, max: 400 }), fc.constantFrom(8_000)),
    fc.nat(3),
  ] as const;
  await fc.assert(
    fc.asyncProperty(...inputs, async (parts, maxTokens, more) => {
      const events = parts.map((part, i) => event({ ...part, timeUs: NEWEST_US - i * 1e6 }));
      const result = await render(events, maxTokens, more);
      expect(result.tokenCount).toBe(countTokens(result.context));
      expect(result.tokenCount).toBeLessThanOrEqual(maxTokens);
      expect(result.memoryCount + result.omittedCount).toBe(events.length + more);
      const shortened = result.context.includes('…');
      // A memory may hold the mark itself: then it tells nothing.
      if (!JSON.stringify(parts).includes('…')) {
        expect(result.truncated).toBe(result.omittedCount > 0 || shortened);
      }
      const shape = shapeOf(result.context);
      expect(shape.filter((line) => line.startsWith('item'))).toHaveLength(result.memoryCount);
      expect(shape).toEqual(linesOf(result.context));
      expect(result.context).not.toMatch(/\p{Cs}/u);
    }),
    { numRuns: 600 },
  );
});

/** The blocks of a document that has only headings and lists of one line of plain text. */
function shapeOf(markdown: string): string[] {
  return fromMarkdown(markdown).children.flatMap((block) => {
    if (block.type === 'heading') return [`h${block.depth}: ${textOf(block.children)}`];
    if (block.type !== 'list') throw new Error(`a ${block.type} in the context`);
    return block.children.map((item) => {
      const [paragraph, ...others] = item.children;
      if (paragraph?.type !== 'paragraph' || others.length > 0) throw new Error('a nested block');
      return `item ${textOf(paragraph.children).slice(0, 22)}`;
    });
  });
}

function textOf(nodes: { type: string; value?: string }[]): string {
  for (const node of nodes) if (node.type !== 'text') throw new Error(`a ${node.type}`);
  return nodes.map((node) => node.value).join('');
}

/** The same, read from the lines. */
function linesOf(markdown: string): string[] {
  const lines = markdown.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const heading = line.match(/^(#{2,3}) (.*)$/);
    if (heading) return `h${heading[1]?.length}: ${heading[2]}`;
    return `item ${line.slice(2, 24)}`;
  });
}
