// Appends each line of stdin to the log in argv[2]; answers `<health> <position or error code>`.
import readline from 'node:readline';
import { openSegmentLog } from '../../../dist/internal/log/segments/open.js';

const log = await openSegmentLog({ dir: process.argv[2], probeMs: 20 });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const answer = await log.append(line).catch((error) => error.code);
  process.stdout.write(`${log.health.state} ${answer}\n`);
}
