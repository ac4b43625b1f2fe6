// Appends a second of the write-ahead log beside the bare loop that it cannot beat: one write and
// one fdatasync of the same bytes by a thread that does nothing else. Run after `npm run build`:
//   node test/bench/log.bench.mjs [directory] [seconds a case]
// The two sides alternate, as a shared machine changes from minute to minute; the best of the
// rounds of each side is printed, and their ratio.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

const { openSegmentLog } = await import('../../dist/internal/log/segments/open.js');

const parent = process.argv[2] ?? path.join(process.cwd(), 'data');
const seconds = Number(process.argv[3] ?? 2);
const ROUNDS = 3;

const cases = [
  { name: '64 writers × 300 B', writers: 64, bytes: 300 },
  { name: '512 writers × 300 B', writers: 512, bytes: 300 },
  { name: '1 writer × 300 B', writers: 1, bytes: 300 },
  { name: '16 writers × 30 KB', writers: 16, bytes: 30_000 },
  { name: '8 writers × 300 KB', writers: 8, bytes: 300_000 },
];

/** Writes groups of `writers` payloads in a row, each group with its own fdatasync. */
function bare(dir, { writers, bytes }) {
  const file = path.join(dir, 'bare');
  const fd = fs.openSync(file, 'w');
  const group = Buffer.alloc(writers * (bytes + 28), 97);
  const until = performance.now() + seconds * 1000;
  const started = performance.now();
  let appends = 0;
  let at = 0;
  while (performance.now() < until) {
    fs.writeSync(fd, group, 0, group.length, at);
    fs.fdatasyncSync(fd);
    at = (at + group.length) % (256 * 1024 * 1024);
    appends += writers;
  }
  const rate = appends / ((performance.now() - started) / 1000);
  fs.closeSync(fd);
  fs.unlinkSync(file);
  return { rate };
}

async function measured(dir, { writers, bytes }) {
  const syncs = [];
  const log = await openSegmentLog({ dir, onSync: (ms) => syncs.push(ms) });
  const payload = 'a'.repeat(bytes);
  const until = performance.now() + seconds * 1000;
  const waits = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  const writer = async () => {
    while (performance.now() < until) {
      const before = performance.now();
      await log.append(payload);
      waits.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  const elapsed = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  await log.release(log.durable);
  await log.close();
  fs.rmSync(dir, { recursive: true });
  const cpuUs = (used.user + used.system) / waits.length;
  return { rate: waits.length / elapsed, waits, syncs, cpuUs };
}

const quantile = (values, q) => {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
};

/** What append costs its caller's thread, without waiting for any. */
async function callCost(dir) {
  const log = await openSegmentLog({ dir, maxPendingBytes: 2 ** 30 });
  const payload = 'a'.repeat(300);
  const all = [];
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round++) {
    const before = performance.now();
    for (let i = 0; i < 1000; i++) all.push(log.append(payload));
    best = Math.min(best, performance.now() - before);
    await Promise.all(all.splice(0));
  }
  await log.close();
  fs.rmSync(dir, { recursive: true });
  return best;
}

fs.mkdirSync(parent, { recursive: true });
const root = fs.mkdtempSync(path.join(parent, 'log-bench-'));
console.log(`${os.cpus().length} cpus, node ${process.version}, ${root}`);
console.log(`append() of 300 B: ${(await callCost(path.join(root, 'cost'))).toFixed(2)} µs a call`);
for (const one of cases) {
  const bares = [];
  const logs = [];
  for (let round = 0; round < ROUNDS; round++) {
    bares.push(bare(root, one));
    logs.push(await measured(path.join(root, `log${round}`), one));
  }
  const best = (list) => list.reduce((a, b) => (b.rate > a.rate ? b : a));
  const [ceiling, log] = [best(bares), best(logs)];
  const spread = (list) => [0.5, 0.99, 1].map((q) => quantile(list, q).toFixed(2)).join('/');
  console.log(
    `${one.name.padEnd(20)} log ${log.rate.toFixed(0).padStart(7)}/s` +
      `  bare ${ceiling.rate.toFixed(0).padStart(7)}/s` +
      `  ratio ${(log.rate / ceiling.rate).toFixed(2)}` +
      `  ack p50/p99/max ${spread(log.waits)} ms` +
      `  fsync p50/p99/max ${spread(log.syncs)} ms` +
      `  cpu ${log.cpuUs.toFixed(1)} µs/append`,
  );
}
fs.rmSync(root, { recursive: true });
