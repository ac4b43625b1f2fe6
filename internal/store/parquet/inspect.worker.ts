import { parentPort } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { inspectFile } from './inspect.js';
import type { InspectAnswer, InspectRequest } from './inspector.js';

const port = known(parentPort, 'the port of the worker');

port.on('message', async ({ ticket, path, depth }: InspectRequest) => {
  port.postMessage(await answer(ticket, path, depth));
});

async function answer(
  ticket: number,
  path: string,
  depth: InspectRequest['depth'],
): Promise<InspectAnswer> {
  try {
    return { ticket, inspection: await inspectFile(path, depth) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return { ticket, message, code };
  }
}
