import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../../internal/fault/fault.js';
import type { ImportCounts, ImportReport, LineKind } from '../../internal/transfer/transfer.js';
import { addConfigFlags } from './config.js';
import { formatOf } from './export.js';
import { type Link, linkTo } from './operate.js';
import { EXIT, print } from './output.js';
import { configOf } from './store.js';

interface Options {
  org: string;
  format?: string;
  check?: boolean;
  allowCut?: boolean;
  json?: boolean;
}

/** A mistake in the file. */
interface Problem {
  /** From 1; of a Parquet file, the row. */
  line: number;
  field?: string;
  error: string;
}

interface Report extends ImportCounts {
  rows: number;
  problems: Problem[];
  /** How many there are; `problems` holds the first ones. */
  problem_count: number;
}

interface Source {
  path: string;
  kind: LineKind;
  /** Whether its last line must say so. */
  needsEnd: boolean;
}

const LINES_PER_CALL = 1_000;
const BYTES_PER_CALL = 4 * 2 ** 20;
const LINE_BYTES_MAX = 64 * 2 ** 20;
const PROBLEMS_SHOWN = 20;

/** `memtrace import` */
export function registerImport(program: Command): void {
  const command = program
    .command('import')
    .description('store the memories of an export, with their ids and times; again is harmless')
    .argument('<file>', 'what memtrace export or GET /api/v1/export wrote')
    .requiredOption('--org <name>', 'the organization, by name or id')
    .option('--format <format>', 'ndjson or parquet; by default what the name of the file says')
    .option('--check', 'only look for mistakes in the file')
    .option('--allow-cut', 'take a file whose last line does not say that it is whole')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit codes: 0 all is there, 1 it is not (see the message), 2 usage.');
  addConfigFlags(command).action(async (file: string, options: Options) => {
    const report = await run(command, file, options);
    if (options.json) print(report);
    else describe(report, options.check === true);
    if (report.problem_count > 0) process.exitCode = EXIT.failed;
  });
}

async function run(command: Command, file: string, options: Options): Promise<Report> {
  const format = formatOf(options.format, file);
  const folder = await mkdtemp(join(tmpdir(), 'memtrace-import-'));
  const link = await linkTo(configOf(command));
  try {
    const source = await sourceOf(file, format, folder);
    if (options.allowCut === true) source.needsEnd = false;
    // The whole file is checked before the first row of it is stored.
    const checked = await pass(link, source, { org: options.org, check: true });
    if (options.check === true || checked.problem_count > 0) return checked;
    return await pass(link, source, { org: options.org, check: false });
  } finally {
    await link.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function sourceOf(path: string, format: string, folder: string): Promise<Source> {
  if (format === 'ndjson') return { path, kind: 'wire', needsEnd: true };
  const { fromParquet } = await import('../../internal/transfer/parquet.js');
  const lines = join(folder, 'rows.ndjson');
  await fromParquet({ from: path, to: lines, longestLine: 0 });
  // A Parquet file has its end in its footer.
  return { path: lines, kind: 'stored', needsEnd: false };
}

async function pass(
  link: Link,
  source: Source,
  order: { org: string; check: boolean },
): Promise<Report> {
  const report: Report = { ...NOTHING, problems: [] };
  let batch: Line[] = [];
  let bytes = 0;
  let ended: Line | null = null;
  let last = 0;
  const send = async () => {
    if (batch.length > 0) await sendBatch(link, { ...order, kind: source.kind }, batch, report);
    batch = [];
    bytes = 0;
  };
  for await (const line of linesOf(source.path)) {
    last = line.number;
    if (line.text.trim() === '') continue;
    if (ended !== null) note(report, { line: line.number, error: 'comes after the last line' });
    ended = endOf(line, report.rows + batch.length, report) ? line : null;
    if (ended !== null) continue;
    batch.push(line);
    bytes += line.text.length;
    if (batch.length >= LINES_PER_CALL || bytes >= BYTES_PER_CALL) await send();
  }
  await send();
  if (source.needsEnd && ended === null) {
    note(report, {
      line: last + 1,
      error: 'the last line {"end":true,…} is missing: the file was cut (see --allow-cut)',
    });
  }
  return report;
}

async function sendBatch(
  link: Link,
  order: { org: string; check: boolean; kind: LineKind },
  batch: readonly Line[],
  report: Report,
): Promise<void> {
  const args = { ...order, lines: batch.map(({ text }) => text) };
  const got = await link.call<ImportReport>({ command: 'import', args });
  report.rows += batch.length;
  const named = got.problems.map(({ index, ...rest }) => ({ line: batch[index].number, ...rest }));
  for (const problem of named) note(report, problem);
  // What was written since the check may be refused now: nothing of this call was stored then.
  if (!order.check && got.problems.length > 0) throw new Error(report.problems[0].error);
  report.stored += got.stored;
  report.known += got.known;
  report.duplicates += got.duplicates;
  report.deleted += got.deleted;
  report.expired += got.expired;
  const what = order.check ? 'checked' : 'imported';
  if (process.stderr.isTTY) process.stderr.write(`\r${what} ${report.rows} rows`);
}

/** Whether it is the last line of an export, whose count must be right. */
function endOf({ text, number }: Line, rows: number, report: Report): boolean {
  if (!text.startsWith('{"end":true')) return false;
  const count = countOf(text);
  if (count !== rows) {
    note(report, { line: number, error: `the file holds ${rows} rows, but says ${count}` });
  }
  return true;
}

function countOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { count?: unknown }).count;
  } catch {
    return 'nothing that can be read';
  }
}

const NOTHING = {
  rows: 0,
  stored: 0,
  known: 0,
  duplicates: 0,
  deleted: 0,
  expired: 0,
  problem_count: 0,
};

function note(report: Report, problem: Problem): void {
  report.problem_count += 1;
  if (report.problems.length < PROBLEMS_SHOWN) report.problems.push(problem);
}

function describe(report: Report, onlyChecked: boolean): void {
  const { rows, stored, known, duplicates, deleted, expired, problems } = report;
  for (const { line, error } of problems) process.stderr.write(`line ${line}: ${error}\n`);
  if (problems.length > 0) {
    process.stderr.write(`error: ${report.problem_count} mistakes; nothing was stored\n`);
  } else if (onlyChecked) process.stdout.write(`${rows} rows, no mistakes\n`);
  else {
    process.stdout.write(
      `stored ${stored} of ${rows} rows; ${known} were there, ${duplicates} are duplicates, ` +
        `${deleted} were deleted, ${expired} have expired\n`,
    );
  }
}

interface Line {
  /** From 1. */
  number: number;
  text: string;
}

/** Lines end with a line feed only: to node:readline U+2028 is an end too, which texts may hold. */
async function* linesOf(path: string): AsyncIterable<Line> {
  let number = 0;
  let pieces: Buffer[] = [];
  let held = 0;
  const lineOf = (): Line => {
    number += 1;
    const bytes = Buffer.concat(pieces);
    pieces = [];
    held = 0;
    if (!isUtf8(bytes)) throw new Fault('invalid_json', `line ${number} is not UTF-8`);
    return { number, text: bytes.toString('utf8') };
  };
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pieces.push(chunk.subarray(start, end));
      start = end + 1;
      yield lineOf();
    }
    pieces.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > LINE_BYTES_MAX) {
      throw new Fault('invalid_json', `line ${number + 1} has more than ${LINE_BYTES_MAX} bytes`);
    }
  }
  if (held > 0) yield lineOf();
}
