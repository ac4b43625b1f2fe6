import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/**
 * What keeps the house tidy: limits of size, banned words, and which way imports point. When this
 * fails, fix the code, not the guard.
 */
const ROOT = resolve(import.meta.dirname, '..');
const LIMITS = { fileLines: 400, functionLines: 70, lineLength: 100, parameters: 4 };

interface Source {
  path: string;
  text: string;
  lines: string[];
}

function sourcesBelow(folder: string): Source[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes('node_modules') && !path.includes('/dist/'))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, lines: text.split('\n') };
    });
}

const code = [...sourcesBelow('cmd'), ...sourcesBelow('internal')];
const all = [...code, ...sourcesBelow('test')];
const isTest = (path: string) => /\.(test|suite)\.ts$/.test(path);
const product = code.filter(({ path }) => !isTest(path) && !path.endsWith('.d.ts'));

/** Generated or made of data, where a limit on lines says nothing. */
const DATA = /\.table\.ts$|config\/table\.ts$/;

test('no file is too long, no line too wide', () => {
  const problems: string[] = [];
  for (const { path, lines } of all) {
    if (lines.length > LIMITS.fileLines && !DATA.test(path)) {
      problems.push(`${path}: ${lines.length} lines`);
    }
    lines.forEach((line, i) => {
      const wide = [...line].length > LIMITS.lineLength && !/https?:\/\/|^\s*\/\^/.test(line);
      if (wide && !isTest(path)) problems.push(`${path}:${i + 1}: ${line.length} characters`);
    });
  }
  expect(problems).toEqual([]);
});

const FUNCTION_START =
  /^(\s*)(?:export )?(?:default )?(?:public |private |protected |static |override )*(?:async )?(?:function\*? ?\w*|\*?[\w#]+|get \w+|set \w+)\s*(?:<[^>]*>)?\(.*$/;
const CONTROL = /^\s*(?:if|for|while|switch|return|throw|await|catch|else|do|new|yield)\b/;

test('no function is too long', () => {
  const problems: string[] = [];
  for (const { path, lines } of product) {
    for (let start = 0; start < lines.length; start++) {
      const match = FUNCTION_START.exec(lines[start]);
      if (match === null || CONTROL.test(lines[start])) continue;
      const end = lines.findIndex((line, i) => i > start && line === `${match[1]}}`);
      const opens = lines.slice(start, end).some((line) => line.endsWith('{'));
      if (!opens || end - start <= LIMITS.functionLines) continue;
      const inner = lines.slice(start + 1, end).some((line) => line.startsWith(`${match[1]}}`));
      if (!inner) problems.push(`${path}:${start + 1}: ${end - start} lines`);
    }
  }
  expect(problems).toEqual([]);
});

const BANNED: readonly [RegExp, string][] = [
  [/(?::|<|\bas) any\b/, 'unknown, or the real type'],
  [/[\w)\]]!(?:\.|\[|;|,|\)|$)/, 'known(value, what) of base/assert'],
  [/@ts-ignore|@ts-nocheck/, 'a type that is right'],
  [/\bconsole\.\w+\(/, 'telemetry/log, or process.stdout in cmd'],
  [/\bexport \* from\b/, 'no barrel files: import from where it is'],
  [/\b(?:TODO|FIXME|XXX|HACK)\b/, 'do it, or say it in an issue'],
];

test('banned words have replacements', () => {
  const problems: string[] = [];
  for (const { path, lines } of product) {
    lines.forEach((line, i) => {
      if (/^\s*(?:\*|\/\/|\/\*)/.test(line)) return;
      for (const [pattern, instead] of BANNED) {
        if (pattern.test(line)) problems.push(`${path}:${i + 1}: ${line.trim()} → ${instead}`);
      }
    });
  }
  expect(problems).toEqual([]);
});

/** Only these may import the driver: everything else goes through their door. */
const DOORS: readonly [RegExp, RegExp][] = [
  [/^better-sqlite3$/, /^internal\/metadata\/sqlite\//],
  [/^@duckdb\//, /^internal\/store\/parquet\/duck/],
  [/^parquetjs-lite/, /^internal\/store\/parquet\//],
  [/^pino$/, /^internal\/telemetry\//],
  [/^prom-client$/, /^internal\/telemetry\//],
  [/^gpt-tokenizer/, /^internal\/session\/context\//],
  [/^toml$/, /^internal\/config\//],
  [/^(?:hono|@hono\/)/, /^internal\/api\//],
  [/^commander$/, /^cmd\//],
  [/^@modelcontextprotocol\//, /^internal\/mcp\//],
  [/^@aws-sdk\//, /^internal\/objects\//],
  [/^@opentelemetry\//, /^internal\/telemetry\//],
];

test('each driver has one door', () => {
  const problems: string[] = [];
  for (const { path, text } of product) {
    for (const name of importsOf(text)) {
      for (const [driver, door] of DOORS) {
        if (driver.test(name) && !door.test(path)) problems.push(`${path} imports ${name}`);
      }
    }
    const isDoor = path.startsWith('internal/config/') || path.startsWith('internal/base/worker');
    if (/\bprocess\.env\b/.test(text) && !isDoor) problems.push(`${path} reads process.env`);
  }
  expect(problems).toEqual([]);
});

/** The floors of the house, from the ground up; a room may import from lower floors only. */
const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['fault', 'config', 'telemetry'],
  ['objects', 'event'],
  ['metadata'],
  ['log', 'recent', 'store', 'dedup'],
  ['ingest', 'recall'],
  ['auth', 'upkeep', 'backup', 'transfer'],
  ['memory', 'session', 'agent'],
  ['engine'],
  ['mcp'],
  ['api'],
];

function floorOf(path: string): number {
  if (path.startsWith('cmd/')) return FLOORS.length;
  const room = /^internal\/([^/]+)\//.exec(path)?.[1] ?? '';
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

test('imports point down', () => {
  const problems: string[] = [];
  for (const { path, text } of product) {
    for (const target of localImportsOf(path, text)) {
      const from = floorOf(path);
      const to = floorOf(target);
      if (from < 0 || to < 0) problems.push(`${path} → ${target}: a room without a floor`);
      const sameRoom = roomOf(path) === roomOf(target);
      if (to > from || (to === from && !sameRoom)) problems.push(`${path} → ${target}`);
    }
  }
  expect(problems).toEqual([]);
});

test('nothing imports in a circle, nothing is dead', () => {
  const graph = new Map(product.map(({ path, text }) => [path, localImportsOf(path, text)]));
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  expect(circles).toEqual([]);

  const imported = new Set([...graph.values()].flat());
  const started = /^cmd\/[\w-]+\/main\.ts$|\.worker\.ts$|config\/generate\.ts$/;
  const dead = [...graph.keys()].filter((path) => !imported.has(path) && !started.test(path));
  expect(dead).toEqual([]);
});

test('functions take few positional parameters', () => {
  const problems: string[] = [];
  const declared =
    /(?:function\*?\s+\w+|^\s+(?:private |static |async |\*)*\w+)\s*\(([^()]*)\)\s*(?::|\{)/gm;
  for (const { path, text } of product) {
    for (const [whole, listed] of text.matchAll(declared)) {
      const parameters = listed.replace(/\[[^\]]*\]|\{[^}]*\}/g, '_');
      if (CONTROL.test(whole)) continue;
      const count = parameters.split(/,(?![^<{]*[>}])/).filter((one) => one.trim() !== '').length;
      if (count > LIMITS.parameters) problems.push(`${path}: ${whole.trim().slice(0, 80)}`);
    }
  }
  expect(problems).toEqual([]);
});

function importsOf(text: string): string[] {
  const pattern = /(?:from|import)\s*\(?\s*'([^']+)'/g;
  return [...text.matchAll(pattern)].map(([, name]) => name);
}

/** Paths of the project's own modules that a file imports. */
function localImportsOf(path: string, text: string): string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(ROOT, resolve(ROOT, dirname(path), name)).replace(/\.js$/, '.ts'))
    .filter((target) => !target.endsWith('.d.ts'));
}

function roomOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}
