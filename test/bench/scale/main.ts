import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer, type TestServer, tempDir } from '../../support/server.js';
import { BenchClient, checked } from '../harness/client.js';
import { benchEvent } from '../harness/events.js';
import { atMost, type Figure, mb, table } from '../harness/figures.js';
import { watchRss } from '../harness/process.js';
import { fastLoad, type Loaded } from './fast-load.js';
import { readFigures } from './reads.js';

/**
 * How reads, disk, memory and starts grow with the number of events: `npm run bench:scale --
 * --events 0.1M,1M,10M`. Some events are written through the API, the rest by the fast loader.
 */
const USAGE = 'npm run bench:scale -- --events 0.1M[,1M,10M,100M] [--short] [--json] [--dir path]';
const DAYS = 30;
const API_EVENTS = 20_000;
const BATCH = 1_000;
/** Goal of the stored size. */
const BYTES_PER_EVENT = 70;

interface Options {
  short: boolean;
  /** Where the data goes; kept. Default: a temporary directory. */
  dir?: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '0.1M,1M' },
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      dir: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const sizes = values.events.split(',').map(eventsOf);
  const figures: Figure[] = [];
  for (const events of sizes) {
    figures.push(...(await measure(events, { short: values.short, dir: values.dir })));
  }
  console.log(values.json ? JSON.stringify(figures, null, 2) : `\n${table(figures)}`);
}

/** 0.1M → 100,000 */
function eventsOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|M)?$/.exec(text.trim());
  if (match === null)
    throw new Error(`--events ${text}: a number like 100k, 0.1M or 10M\n${USAGE}`);
  const unit = match[2] === 'M' ? 1_000_000 : match[2] === 'k' ? 1_000 : 1;
  return Math.round(Number(match[1]) * unit);
}

async function measure(events: number, options: Options): Promise<Figure[]> {
  const label = sizeLabel(events);
  const dataDir = options.dir === undefined ? tempDir('memtrace-scale-') : join(options.dir, label);
  mkdirSync(dataDir, { recursive: true });
  refuseFullDisk(dataDir, events);
  await writeThroughApi(dataDir);
  const loaded = await fastLoad({ dataDir, events, days: DAYS, onProgress: progress(events) });
  process.stderr.write(`\n${label}: loaded in ${loaded.seconds.toFixed(0)} s\n`);
  const server = await startServer({ dataDir, readyTimeoutMs: 120_000 });
  const memory = watchRss(server.pid);
  const figures = [...storageFigures(loaded, server, label)];
  figures.push(...(await readFigures(server, loaded, options.short)));
  const name = (what: string) => `${what}, ${label}`;
  const rss = mb(memory.stop());
  figures.push({
    name: name('memory, most while reading'),
    figure: `${rss} MB`,
    ...atMost(rss, 1024, 'MB'),
  });
  await server.stop();
  if (options.dir === undefined) rmSync(dataDir, { recursive: true, force: true });
  return figures.map((figure) => ({
    ...figure,
    name: figure.name.includes(label) ? figure.name : name(figure.name),
  }));
}

function sizeLabel(events: number): string {
  return events >= 100_000 ? `${events / 1_000_000} M` : `${events / 1_000} k`;
}

/** Twice the size that is expected. */
function refuseFullDisk(dataDir: string, events: number): void {
  const { bavail, bsize } = statfsSync(dataDir);
  const needed = 2 * BYTES_PER_EVENT * events;
  if (bavail * bsize > needed) return;
  throw new Error(`${mb(needed)} MB are needed below ${dataDir}, ${mb(bavail * bsize)} are free`);
}

function progress(events: number): (done: number) => void {
  return (done) => process.stderr.write(`\r${Math.round((100 * done) / events)} %`);
}

/** A first server makes the directory, and the newest events are those of a real writer. */
async function writeThroughApi(dataDir: string): Promise<void> {
  const server = await startServer({ dataDir });
  const client = new BenchClient(server);
  for (let n = 0; n < API_EVENTS; n += BATCH) {
    const memories = Array.from({ length: BATCH }, (_, i) => benchEvent('api', n + i));
    checked(await client.post('/api/v1/memories', { memories }));
  }
  client.close();
  await server.stop();
}

function storageFigures(loaded: Loaded, server: TestServer, label: string): Figure[] {
  const perEvent = loaded.bytes / loaded.events;
  const catalog = statSync(join(server.dataDir, 'memtrace.db')).size;
  const files = readdirSync(join(server.dataDir, 'events'), {
    recursive: true,
    withFileTypes: true,
  });
  const start = Math.round(server.readyMs);
  return [
    {
      name: `bytes an event on disk, ${label}`,
      figure: perEvent.toFixed(1),
      ...atMost(perEvent, BYTES_PER_EVENT, 'bytes'),
    },
    {
      name: `files, ${label}`,
      figure: `${files.filter((entry) => entry.isFile()).length}, ${mb(loaded.bytes)} MB`,
    },
    {
      name: `catalog, ${label}`,
      figure: `${mb(catalog)} MB, ${(catalog / loaded.events).toFixed(1)} bytes an event`,
    },
    { name: `start, ${label}`, figure: `${start} ms`, ...atMost(start, 500, 'ms') },
  ];
}

await main();
