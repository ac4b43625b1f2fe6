import { createReadStream } from 'node:fs';
import { access, type FileHandle, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { Place } from '../../internal/event/event.js';
import { filterOf } from '../../internal/event/select.js';
import { Fault } from '../../internal/fault/fault.js';
import type { ExportedPage, LineKind } from '../../internal/transfer/transfer.js';
import { addConfigFlags } from './config.js';
import { type Link, linkTo } from './operate.js';
import { EXIT } from './output.js';
import { configOf } from './store.js';

interface Options {
  org: string;
  since?: string;
  until?: string;
  agent?: string;
  session?: string;
  format?: string;
  out: string;
  json?: boolean;
}

interface Exported {
  rows: number;
  incomplete: NonNullable<ExportedPage['incomplete']> | null;
}

export const FORMATS: readonly string[] = ['ndjson', 'parquet'];

/** `memtrace export` */
export function registerExport(program: Command): void {
  const command = program
    .command('export')
    .description("write an organization's memories into a file, oldest first")
    .requiredOption('--org <name>', 'the organization, by name or id')
    .option('--since <time>', 'from this time on: 24h, 2026-11-21 or an RFC 3339 time')
    .option('--until <time>', 'before this time')
    .option('--agent <id>', 'only those of this agent')
    .option('--session <id>', 'only those of this session')
    .option('--format <format>', 'ndjson or parquet; by default what the name of the file says')
    .requiredOption('--out <file>', 'a file that does not exist yet, or - for standard output')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 3 damaged files were left out, 1 failed, 2 usage.',
    );
  addConfigFlags(command).action(async (options: Options) => {
    const exported = await run(command, options);
    const { rows, incomplete } = exported;
    const told = options.json
      ? JSON.stringify({ org: options.org, out: options.out, rows, incomplete })
      : `exported ${rows} memories to ${options.out}`;
    // Standard output may be the export itself.
    (options.out === '-' ? process.stderr : process.stdout).write(`${told}\n`);
    if (incomplete === null) return;
    process.stderr.write(`error: ${incomplete.files} damaged files were left out\n`);
    process.exitCode = EXIT.damaged;
  });
}

async function run(command: Command, options: Options): Promise<Exported> {
  const format = formatOf(options.format, options.out);
  const { org, since, until, agent, session, out } = options;
  const sent = { since, until, agent_id: agent, session_id: session };
  const filter = filterOf(sent, Date.now() * 1000);
  const toStdout = out === '-';
  if (!toStdout) await refuseExisting(out);
  const link = await linkTo(configOf(command));
  // Beside its place, so that a cut export never stands there.
  const folder = await mkdtemp(join(toStdout ? tmpdir() : dirname(out), '.memtrace-export-'));
  try {
    const pages = pagesOf(link, { org, filter, kind: format === 'parquet' ? 'stored' : 'wire' });
    if (toStdout && format === 'ndjson') {
      return await writeLines(pages, (text) => toStream(text));
    }
    const path = join(folder, 'export');
    const exported = await (format === 'parquet' ? writeParquet : writeFile)(pages, path);
    if (toStdout) await pipeline(createReadStream(path), process.stdout, { end: false });
    else await rename(path, out);
    return exported;
  } finally {
    await link.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The format that is asked for, or that the name of the file tells. */
export function formatOf(format: string | undefined, path: string): string {
  if (format === undefined) return path.endsWith('.parquet') ? 'parquet' : 'ndjson';
  if (FORMATS.includes(format)) return format;
  throw new Fault('invalid_field', `--format must be ${FORMATS.join(' or ')}, not "${format}"`);
}

async function refuseExisting(path: string): Promise<void> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) throw new Fault('invalid_field', `${path} exists already`);
}

async function* pagesOf(
  link: Link,
  order: { org: string; filter: object; kind: LineKind },
): AsyncIterable<ExportedPage> {
  let after: Place | null = null;
  let rows = 0;
  do {
    const args: Record<string, unknown> = { ...order, ...(after === null ? {} : { after }) };
    const page: ExportedPage = await link.call<ExportedPage>({ command: 'export', args });
    yield page;
    after = page.next;
    rows += page.rows;
    if (process.stderr.isTTY) process.stderr.write(`\r${rows} memories`);
  } while (after !== null);
  if (process.stderr.isTTY) process.stderr.write('\n');
}

/** The lines of the wire and the last one, which tells a whole export from a cut one. */
async function writeLines(
  pages: AsyncIterable<ExportedPage>,
  write: (text: string) => Promise<unknown>,
): Promise<Exported> {
  const exported = await writePages(pages, write);
  const { rows, incomplete } = exported;
  const damage = incomplete === null ? {} : { incomplete: true, incomplete_window: incomplete };
  await write(`${JSON.stringify({ end: true, count: rows, ...damage })}\n`);
  return exported;
}

async function writePages(
  pages: AsyncIterable<ExportedPage>,
  write: (text: string) => Promise<unknown>,
): Promise<Exported> {
  const exported: Exported = { rows: 0, incomplete: null };
  for await (const { text, rows, incomplete } of pages) {
    await write(text);
    exported.rows += rows;
    exported.incomplete ??= incomplete ?? null;
  }
  return exported;
}

function writeFile(pages: AsyncIterable<ExportedPage>, path: string): Promise<Exported> {
  return intoFile(path, (file) => writeLines(pages, (text) => file.appendFile(text)));
}

async function writeParquet(pages: AsyncIterable<ExportedPage>, path: string): Promise<Exported> {
  const lines = `${path}.ndjson`;
  let longestLine = 0;
  const exported = await intoFile(lines, (file) =>
    writePages(pages, (text) => {
      for (const line of text.split('\n')) {
        if (line.length * 3 > longestLine) longestLine = Math.max(longestLine, bytesOf(line));
      }
      return file.appendFile(text);
    }),
  );
  const { toParquet } = await import('../../internal/transfer/parquet.js');
  await toParquet({ from: lines, to: path, longestLine });
  await intoFile(path, async () => undefined);
  return exported;
}

function bytesOf(line: string): number {
  return Buffer.byteLength(line);
}

/** What is written is on the disk when it resolves. */
async function intoFile<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'a', 0o600);
  try {
    const result = await write(file);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

function toStream(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
