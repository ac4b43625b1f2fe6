import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Puts our own modules of the program and of the threads that a start waits for into few files, in
 * place of what the compiler wrote: finding and reading 250 modules is a quarter of the CPU of a
 * start. Packages stay where npm put them, everything else in dist/ stays as compiled.
 */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const PROGRAM = 'cmd/memtrace/main';
const PROGRAM_DIR = join(ROOT, 'dist', dirname(PROGRAM));
const THREADS = ['internal/log/segments/wal.worker', 'internal/metadata/sqlite/metadata.worker'];
const PART = 'part-';

const common = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
};

/** A module goes on finding its neighbours (threads, package.json) from where it was compiled to. */
const ownUrls = {
  name: 'own-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const compiled = join(ROOT, 'dist', relative(ROOT, path)).replace(/\.ts$/, '.js');
      const own = `new URL(${JSON.stringify(relative(PROGRAM_DIR, compiled))}, import.meta.url).href`;
      return { contents: text.replaceAll('import.meta.url', own), loader: 'ts' };
    });
  },
};

for (const name of readdirSync(PROGRAM_DIR)) {
  if (name.startsWith(PART)) rmSync(join(PROGRAM_DIR, name));
}
await build({
  ...common,
  entryPoints: [`${PROGRAM}.ts`],
  outdir: PROGRAM_DIR,
  splitting: true,
  chunkNames: `${PART}[hash]`,
  plugins: [ownUrls],
});
await build({
  ...common,
  entryPoints: THREADS.map((name) => `${name}.ts`),
  outdir: join(ROOT, 'dist'),
  outbase: ROOT,
});
