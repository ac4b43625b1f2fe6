import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { lowerPriority } from '../../base/priority.js';
import { inspectFile } from './inspect.js';
import type { InspectAnswer, InspectRequest } from './inspector.js';

const port = known(parentPort, 'the port of the worker');
if (workerData === 'background') lowerPriority();

port.on('message', async (request: InspectRequest) => {
  port.postMessage(await answer(request));
});

async function answer({
  ticket,
  path,
  depth,
  bytesPerSecond,
}: InspectRequest): Promise<InspectAnswer> {
  try {
    return { ticket, inspection: await inspectFile(path, depth, bytesPerSecond) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return { ticket, message, code };
  }
}
