import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startServer, tempDir } from '../support/server.js';

/**
 * The TypeScript SDK as its users get it: packed, installed into an empty folder, imported and
 * required, against the real server. Its other tests are its own: npm --prefix sdk/typescript test.
 */
const run = promisify(execFile);
const SDK = resolve(import.meta.dirname, '../../sdk/typescript');
const installed = existsSync(join(SDK, 'node_modules/typescript'));
if (!installed) console.warn('skipped: the TypeScript SDK needs npm --prefix sdk/typescript ci');

const USE = `
const client = new Memtrace({ baseUrl: process.argv[2], apiKey: process.argv[3] });
const session = await client.startSession('packed');
await session.remember('hello from ' + process.argv[4]);
const { memories } = await client.recall('packed');
console.log(memories[0].content);`;

test.skipIf(!installed)(
  'the packed TypeScript SDK works as ESM and as CommonJS',
  async () => {
    const folder = tempDir();
    // prepack builds it.
    const pack = ['pack', '--silent', '--pack-destination', folder];
    const { stdout } = await run('npm', pack, { cwd: SDK });
    const tarball = stdout.trim().split('\n').at(-1) ?? '';
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    const install = ['install', '--offline', '--no-audit', '--no-fund', join(folder, tarball)];
    await run('npm', install, { cwd: folder });
    const requiring = `const { Memtrace } = require('@memtrace/sdk');\n(async () => {${USE}})();`;
    writeFileSync(join(folder, 'esm.mjs'), `import { Memtrace } from '@memtrace/sdk';${USE}`);
    writeFileSync(join(folder, 'cjs.cjs'), requiring);
    const server = await startServer();
    try {
      for (const file of ['esm.mjs', 'cjs.cjs']) {
        const argv = [file, server.url, server.key, file];
        const use = await run(process.execPath, argv, { cwd: folder });
        expect(use.stdout.trim()).toBe(`hello from ${file}`);
      }
    } finally {
      await server.stop();
    }
  },
  180_000,
);
