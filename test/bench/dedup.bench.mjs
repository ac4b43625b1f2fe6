/**
 * What the deduplication index costs at a day's load, on the compiled code: `npx tsc` first.
 *
 *   node --expose-gc test/bench/dedup.bench.mjs [--keys 1000000] [--flush 60000] [--dir /tmp/…]
 *
 * The keys are spread over the 24 hours of a window by a made-up clock, so that runs are merged as
 * they would be in a day. Needs 41 bytes of disk a key, and as much again for the widest merge.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDedup } from '../../dist/internal/dedup/open.js';

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    flush: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const KEYS = Number(values.keys);
const FLUSH = Number(values.flush ?? Math.max(60_000, Math.ceil(KEYS / 200)));
const BATCH = 1000;
const HOUR = 3_600_000_000;
const WINDOW = 24 * HOUR;
const START = 1_800_000_000_000_000;
const STEP = (WINDOW * 0.999) / KEYS;
const dir = mkdtempSync(join(values.dir, 'dedup-bench-'));
const catalog = memoryCatalog();
const damage = [];

function memoryCatalog() {
  let rows = [];
  return {
    add: (row) => rows.push(row),
    dedupRuns: async () => rows,
    replaceDedupRuns: async (removed, added) => {
      rows = rows.filter((row) => !removed.includes(row.path)).concat(added);
    },
  };
}

async function open(nowUs) {
  const onDamage = (found) => damage.push(found);
  const onError = (error) => console.error('background step failed:', error.cause ?? error);
  const runs = await catalog.dedupRuns();
  return openDedup({ dir, windowUs: WINDOW, runs, catalog, nowUs, onDamage, onError });
}

const bytes = Buffer.alloc(16);
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The n-th key is always the same, and so is its id. */
function entry(n, nowUs) {
  for (let i = 0; i < 4; i++) {
    let x = Math.imul(n ^ (i * 0x1b873593), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) ^ n;
    bytes.writeInt32LE(x ^ (x >>> 16), i * 4);
  }
  return { orgId: 'org_bench', key: bytes.toString('hex'), id: idOf(n), ingestedUs: nowUs };
}

function idOf(n) {
  let text = '';
  for (let rest = n, i = 0; i < 7; i++, rest = Math.floor(rest / 32))
    text = ALPHABET[rest % 32] + text;
  return `mem_01J${'0'.repeat(16)}${text}`;
}

function batchFrom(first, count, timeOf) {
  return Array.from({ length: count }, (_, i) => entry(first + i, timeOf(first + i)));
}

const timeOf = (n) => START + Math.floor(n * STEP);
const mib = (n) => `${(n / 2 ** 20).toFixed(0)} MiB`;

function rss() {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** Medians over calls: the machine is shared, and a mean would measure its other tenants. */
const spent = { reserve: [], settle: [] };

function median(list) {
  return list.sort((a, b) => a - b)[list.length >> 1] ?? 0;
}

/** Time on the main thread up to the claim, or to the question to the disk thread. */
function reserveTimed(index, batch, nowUs) {
  const start = process.hrtime.bigint();
  const holders = index.reserve(batch, nowUs);
  spent.reserve.push(Number(process.hrtime.bigint() - start) / batch.length);
  return holders;
}

async function flush(index, position) {
  const run = await index.seal(position);
  if (run === null) return;
  catalog.add(run);
  index.commit(run);
  if (index.stats().runs > 24) await index.idle();
}

async function fill(index) {
  let unflushed = 0;
  let most = 0;
  for (let n = 0; n < KEYS; n += BATCH) {
    const batch = batchFrom(n, Math.min(BATCH, KEYS - n), timeOf);
    const holders = await reserveTimed(index, batch, batch.at(-1).ingestedUs);
    if (holders.some((holder) => holder !== null)) throw new Error('a fresh key was refused');
    const start = process.hrtime.bigint();
    index.settle(batch, n / BATCH + 1);
    spent.settle.push(Number(process.hrtime.bigint() - start) / batch.length);
    unflushed += batch.length;
    if (unflushed < FLUSH) continue;
    unflushed = 0;
    await flush(index, n / BATCH + 1);
    most = Math.max(most, process.memoryUsage.rss());
  }
  await flush(index, KEYS);
  return most;
}

async function fresh(index, size, count) {
  let disk = 0;
  const times = [];
  for (let done = 0; done < count; done += size) {
    const batch = batchFrom(2 ** 31 + done, size, () => timeOf(KEYS));
    const start = process.hrtime.bigint();
    let holders = index.tryReserve(batch, timeOf(KEYS));
    times.push(Number(process.hrtime.bigint() - start) / size);
    if (holders === null) {
      disk++;
      holders = await index.reserve(batch, timeOf(KEYS));
    }
    if (holders.some((holder) => holder !== null)) throw new Error('a fresh key was refused');
    index.abandon(batch);
  }
  console.log(
    `fresh keys, ${size} a call: ${median(times).toFixed(0)} ns/key; calls that asked the disk: ` +
      `${((disk / (count / size)) * 100).toFixed(2)} %`,
  );
}

async function duplicates(index, size, count, what) {
  const start = process.hrtime.bigint();
  for (let done = 0; done < count; done += size) {
    const wanted = Array.from({ length: size }, () => Math.floor(Math.random() * KEYS));
    const batch = wanted.map((n) => ({ ...entry(n, timeOf(KEYS)), id: idOf(2 ** 34) }));
    const holders = await index.reserve(batch, timeOf(KEYS));
    holders.forEach((holder, i) => {
      if (holder?.id !== idOf(wanted[i])) throw new Error(`duplicate ${wanted[i]} passed`);
    });
  }
  const us = Number(process.hrtime.bigint() - start) / 1000 / count;
  console.log(`${what}, ${size} a call: ${us.toFixed(1)} µs/key, all ${count} with the right id`);
}

function disk() {
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** Fills a new index and says what that cost in time and memory. */
async function filling() {
  // The batches alone make V8 take memory; that must not count as the index's.
  for (let n = 0; n < 500; n++) batchFrom(n * BATCH, BATCH, timeOf);
  const before = rss();
  const index = await open(START);
  console.log(`${KEYS} keys, flushed by ${FLUSH}; two idle threads take ${mib(rss() - before)}`);
  const begin = performance.now();
  const most = await fill(index);
  const filled = performance.now();
  const merged = index.stats().mergedKeys;
  await index.idle();
  const rest = performance.now() - filled;
  const stats = index.stats();
  const rate = (stats.mergedKeys - merged) / 1000 / (rest || 1);
  const [reserve, settle] = [median(spent.reserve), median(spent.settle)];
  console.log(
    `reserve ${reserve.toFixed(0)} + settle ${settle.toFixed(0)} ns/key while filling\n` +
      `filled in ${seconds(filled - begin)}, merges done ${seconds(rest)} later ` +
      `(${rate.toFixed(2)} M keys/s at half of a thread's time)\n` +
      `${stats.merges} merges, ${(stats.mergedKeys / KEYS).toFixed(2)} × the keys; ` +
      `${stats.runs} runs, ${mib(disk())} on disk`,
  );
  const bits = (stats.memoryBytes * 8) / KEYS;
  console.log(
    `memory: RSS +${mib(rss() - before)}, at most +${mib(most - before)} while filling; ` +
      `of it filters and memtable ${mib(stats.memoryBytes)} = ${bits.toFixed(1)} bits a key`,
  );
  return index;
}

async function main() {
  let index = await filling();
  for (const size of [1000, 100, 1]) await fresh(index, size, 200_000);
  await duplicates(index, 1, 5_000, 'duplicates in runs');
  await duplicates(index, 100, 20_000, 'duplicates in runs');
  await index.close();
  const closed = performance.now();
  index = await open(timeOf(KEYS));
  const opened = performance.now();
  await duplicates(index, 1, 100, 'duplicates right after opening');
  await index.idle();
  const loaded = performance.now();
  console.log(
    `reopened in ${(opened - closed).toFixed(0)} ms; ` +
      `all filters loaded ${(loaded - opened).toFixed(0)} ms later, beside the lookups above`,
  );
  await fresh(index, 1000, 200_000);
  await index.close();
  if (damage.length > 0) throw new Error(`damage: ${JSON.stringify(damage)}`);
}

try {
  await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
