/** The thread that renders contexts: escaping and tokenizing never hold the event loop. */
import { parentPort } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { fitContext } from './fit.js';
import type { ContextJob, RenderedContext } from './job.js';
import { createTokenizer } from './tokenizer.js';

export interface JobMessage {
  id: number;
  job: ContextJob;
}

export type ResultMessage =
  | { id: number; rendered: RenderedContext }
  | { id: number; error: string };

const port = known(parentPort, 'the port of the worker');
const tokenizer = createTokenizer();

function answer({ id, job }: JobMessage): ResultMessage {
  try {
    return { id, rendered: fitContext(job, tokenizer) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

port.on('message', (message: JobMessage) => port.postMessage(answer(message)));
