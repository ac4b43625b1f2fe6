// Appends to the log in argv[2] until it is killed; prints each position once it is acknowledged.
// argv[3]: faults as JSON. The payload tells its own writer, so that a reader can check it.
import { openSegmentLog } from '../../dist/internal/log/segments/open.js';

const disk = JSON.parse(process.argv[3] ?? 'null') ?? undefined;
const log = await openSegmentLog({ dir: process.argv[2], segmentBytes: 200_000, disk });

async function write(writer) {
  for (let i = 0; ; i++) {
    const text = `${writer}:${i}:${'x'.repeat((i * 37) % 3_000)}`;
    const position = await log.append(text);
    process.stdout.write(`${position} ${text.length} ${writer}:${i}:\n`);
    if (i % 50 === 49) await log.release(position - 500);
  }
}

for (let writer = 0; writer < 8; writer++) write(writer);
