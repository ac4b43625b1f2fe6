// Builds dist/esm and dist/cjs from the same sources. What a file is, ESM or CommonJS, is said by
// the package.json nearest to it: so the CommonJS build compiles a copy that lies beside another.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const copy = join(root, 'node_modules/.cache/cjs');
const typescript = createRequire(import.meta.url).resolve('typescript/bin/tsc');

function compile(source, target) {
  const options = ['--rootDir', join(source, 'src'), '--outDir', join(root, target)];
  execFileSync(process.execPath, [typescript, '-p', source, ...options], { stdio: 'inherit' });
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
compile(root, 'dist/esm');

rmSync(copy, { recursive: true, force: true });
mkdirSync(copy, { recursive: true });
cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true });
cpSync(join(root, 'tsconfig.json'), join(copy, 'tsconfig.json'));
writeFileSync(join(copy, 'package.json'), '{"type":"commonjs"}\n');
compile(copy, 'dist/cjs');
writeFileSync(join(root, 'dist/cjs/package.json'), '{"type":"commonjs"}\n');
