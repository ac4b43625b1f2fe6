import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OPTIONS } from './options.js';
import { renderHelp, renderMarkdown, renderToml } from './render.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

// After a change of the table: npm run build && node dist/internal/config/generate.js
test('config/memtrace.toml follows the option table', () => {
  expect(read('config/memtrace.toml')).toBe(renderToml());
});

test('docs/configuration.md follows the option table', () => {
  expect(read('docs/configuration.md')).toBe(renderMarkdown());
});

test('every option is in the help text with all its names', () => {
  const help = renderHelp();
  for (const { key, env, row } of OPTIONS) {
    expect(help).toContain(`  ${key} = `);
    expect(help).toContain(env);
    if (row.flag !== undefined) expect(help).toContain(`--${row.flag}, ${env}`);
  }
});

test('lines stay within 100 characters', () => {
  const long = `${renderToml()}\n${renderHelp()}`.split('\n').filter((line) => line.length > 100);
  expect(long).toEqual([]);
});
