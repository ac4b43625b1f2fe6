import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bench, Row } from '../harness/bench.js';
import { BenchClient, checked } from '../harness/client.js';
import { writeEvents } from '../harness/events.js';
import { atLeast, atMost, type Figure, mb, median, perSecond } from '../harness/figures.js';
import { rssOf, watchRss } from '../harness/process.js';

const run = promisify(execFile);
const COPY = fileURLToPath(new URL('../harness/duckdb-copy.ts', import.meta.url));

/** A long stream to its acknowledgement, against DuckDB's own conversion of the same file. */
export const streamRow: Row = {
  name: 'ndjson',
  run: async (bench) => {
    const server = await bench.writeServer();
    const client = new BenchClient(server);
    const ours: number[] = [];
    const theirs: number[] = [];
    const before = rssOf(server.pid);
    const watch = watchRss(server.pid);
    for (let round = 0; round < bench.scale.rounds; round += 1) {
      const path = await fresh(bench, `stream${round}`);
      ours.push(await oursOn(client, path, bench.scale.stream));
      theirs.push(await duckdbOn(path));
      rmSync(path);
    }
    const growth = mb(watch.stop() - before);
    client.close();
    return figures(bench, median(ours), median(theirs), growth);
  },
};

function figures(bench: Bench, ours: number, theirs: number, growth: number): Figure[] {
  const events = bench.scale.stream;
  return [
    {
      name: `NDJSON of ${events / 1_000} k events to its answer`,
      figure: `${ours.toFixed(1)} s, ${perSecond(events / ours)}`,
      ceiling: `DuckDB COPY ${theirs.toFixed(1)} s, ${perSecond(events / theirs)}`,
      ...atLeast(theirs / ours, 0.25),
    },
    { name: '  memory growth meanwhile', figure: `${growth} MB`, ...atMost(growth, 200, 'MB') },
  ];
}

async function fresh(bench: Bench, label: string): Promise<string> {
  const path = join(bench.dir, `${label}.ndjson`);
  await writeEvents({ path, label, count: bench.scale.stream, days: 0 });
  return path;
}

async function oursOn(client: BenchClient, path: string, count: number): Promise<number> {
  const reply = checked(await client.stream(path));
  const { accepted } = JSON.parse(reply.text) as { accepted: number };
  if (accepted !== count) throw new Error(`${accepted} of ${count} lines accepted: ${reply.text}`);
  return reply.ms / 1_000;
}

/** Seconds of the COPY alone, in a process of its own. */
async function duckdbOn(path: string): Promise<number> {
  const argv = ['--import', 'tsx', COPY, path];
  const { stdout } = await run(process.execPath, argv);
  return Number(stdout);
}
