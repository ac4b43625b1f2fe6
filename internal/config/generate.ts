/**
 * Writes what follows from the option table into the working directory, which must be the root of
 * the repository: `npm run build && node dist/internal/config/generate.js`
 */
import { writeFileSync } from 'node:fs';
import { renderMarkdown, renderToml } from './render.js';

writeFileSync('config/memtrace.toml', renderToml());
writeFileSync('docs/configuration.md', renderMarkdown());
