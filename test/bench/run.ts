import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { Bench, FULL, type Row, SHORT } from './harness/bench.js';
import { type Figure, mb, table } from './harness/figures.js';
import { GENERATOR } from './harness/load.js';
import { connectionsRow } from './rows/connections.js';
import { heavySearchRow } from './rows/heavy-search.js';
import { postgresRow } from './rows/postgres.js';
import { readRows } from './rows/reads.js';
import { responsiveRow } from './rows/responsive.js';
import { startRows } from './rows/starts.js';
import { streamRow } from './rows/stream.js';
import { writeRows } from './rows/writes.js';

/** In this order: the rows that load and restart the big store come last. */
const ROWS: readonly Row[] = [
  ...writeRows,
  streamRow,
  responsiveRow,
  connectionsRow,
  postgresRow,
  ...readRows,
  heavySearchRow,
  ...startRows,
];

const NAMES = ROWS.map((row) => row.name).join(',');
const USAGE = `npm run bench -- [--short] [--json] [--events n] [--only ${NAMES}]`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      events: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const rows = chosen(values.only);
  const form = values.short ? SHORT : FULL;
  const scale = { ...form, stored: Number(values.events ?? form.stored) };
  const machine = describeMachine(values.short ? 'short form' : 'full form');
  const figures = await measure(new Bench(scale), rows);
  if (values.json) console.log(JSON.stringify({ machine, figures }, null, 2));
  else console.log(`\n${machine}\n\n${table(figures)}`);
}

/** A row that fails is a line of the table, not the end of the run. */
async function measure(bench: Bench, rows: readonly Row[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const row of rows) {
    const startedAt = performance.now();
    try {
      figures.push(...(await row.run(bench)));
    } catch (error) {
      const text = String(error).split('\n')[0]?.slice(0, 160) ?? '';
      figures.push({ name: row.name, figure: `failed: ${text}`, ok: false });
      process.exitCode = 1;
    }
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
    process.stderr.write(`${row.name}: ${seconds} s\n`);
  }
  await bench.close();
  return figures;
}

function chosen(only: string | undefined): readonly Row[] {
  if (only === undefined) return ROWS;
  const names = only.split(',');
  const unknown = names.filter((name) => !ROWS.some((row) => row.name === name));
  if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}\n${USAGE}`);
  return ROWS.filter((row) => names.includes(row.name));
}

function describeMachine(form: string): string {
  const [cpu] = cpus();
  const duckdb = versionOf('@duckdb/node-api');
  return [
    `${availableParallelism()} cores (${cpu?.model ?? 'unknown'}), ${mb(totalmem())} MB`,
    `Node ${process.versions.node}, DuckDB ${duckdb}, hono ${versionOf('hono')}`,
    `load ${loadavg()
      .map((n) => n.toFixed(2))
      .join(' ')}, ${GENERATOR}, ${form}`,
  ].join('; ');
}

function versionOf(name: string): string {
  const path = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

await main();
