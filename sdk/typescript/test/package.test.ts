import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { tempDir } from './support.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);

it('has types that are current with the OpenAPI document of the server', async () => {
  await run(process.execPath, ['scripts/generate.mjs', '--check'], { cwd: root });
});

it.each([
  ['.', 'Memtrace,Batcher,ConflictError'],
  ['./openai-agents', 'MemtraceSession,RunRecorder,memtraceTools'],
  ['./langchain', 'MemtraceChatMessageHistory,MemtraceCallbackHandler,memtraceTools'],
  ['./ai-sdk', 'memtraceMiddleware,memtraceTools'],
])('is imported and required: %s', async (path, names) => {
  const name = join('@memtrace/sdk', path);
  const check = `for (const n of '${names}'.split(',')) if (typeof m[n] !== 'function') throw n;`;
  const options = { cwd: root };
  const esm = ['--input-type=module', '-e', `import * as m from '${name}'; ${check}`];
  const cjs = ['--input-type=commonjs', '-e', `const m = require('${name}'); ${check}`];
  await run(process.execPath, esm, options);
  await run(process.execPath, cjs, options);
});

it('is a package as it should be, for every way to resolve its types', async () => {
  const folder = tempDir();
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const { stdout } = await run('npm', pack, { cwd: root });
  const tarball = join(folder, stdout.trim());
  await run(bin('publint'), [tarball, '--strict'], { cwd: root });
  await run(bin('attw'), [tarball, '--profile', 'node16'], { cwd: root });
}, 180_000);

it('depends on nothing', async () => {
  const { default: manifest } = await import('../package.json', { with: { type: 'json' } });
  expect(Object.keys(manifest)).not.toContain('dependencies');
});
