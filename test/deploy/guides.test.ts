import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './tools.js';

const GUIDES = ['deploy-one-box', 'deploy-cce', 'security', 'upgrade', 'sizing', 'runbooks'];
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const codeOf = (text: string) =>
  [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, c]) => c);
const headings = (text: string) => [...text.matchAll(/^(#+) /gm)].map(([, marks]) => marks);

describe.each(GUIDES)('docs/%s', (name) => {
  const english = read(`docs/${name}.md`);
  const chinese = read(`docs/${name}.zh-CN.md`);

  it('says the same in both languages', () => {
    expect(headings(chinese)).toEqual(headings(english));
    // Commands are the same but for comments.
    const bare = (text: string) => codeOf(text).map((code) => code.replace(/ +#.*$/gm, ''));
    expect(bare(chinese)).toEqual(bare(english));
    const rows = (text: string) => text.split('\n').filter((line) => line.startsWith('|')).length;
    expect(rows(chinese)).toBe(rows(english));
  });

  it('names files that exist', () => {
    const prefix = '(?:deploy|k8s|test|cmd|internal)/';
    for (const text of [english, chinese]) {
      const paths = [...text.matchAll(new RegExp(`\\b${prefix}[\\w./-]*[\\w-]`, 'g'))].flat();
      const made = /deploy\/(\.env|nginx\/certs)/;
      for (const path of paths.filter((one) => !made.test(one) && !/node_/.test(one))) {
        const inImage = text.includes(`dist/${path}`) ? path.replace(/\.js$/, '.ts') : path;
        const known = /^deploy\/memtrace$/.test(path) || existsSync(join(ROOT, inImage));
        expect(known, path).toBe(true);
      }
      for (const [, link] of text.matchAll(/\]\((?!http)([^)#]+)/g)) {
        // Written together with the measurements.
        if (link === 'benchmarks.md') continue;
        expect(existsSync(join(ROOT, 'docs', link)), link).toBe(true);
      }
    }
  });

  it('names options and metrics that exist', () => {
    const options = read('docs/configuration.md');
    for (const [, variable] of english.matchAll(/\b(MEMTRACE_[A-Z_]+)\b/g)) {
      expect(options).toContain(`\`${variable}\``);
    }
  });
});

it('every token to be replaced in k8s/ is in the guide', () => {
  const files = readdirSync(join(ROOT, 'k8s'), { recursive: true, encoding: 'utf8' });
  const yaml = files.filter((path) => path.endsWith('.yaml') && !path.includes('example'));
  const tokens = yaml.flatMap((path) => read(`k8s/${path}`).match(/REPLACE_[A-Z_]+/g) ?? []);
  expect(new Set(tokens).size).toBeGreaterThan(2);
  for (const token of new Set(tokens)) {
    expect(read('docs/deploy-cce.md')).toContain(token);
    expect(read('docs/deploy-cce.zh-CN.md')).toContain(token);
  }
});
