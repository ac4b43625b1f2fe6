import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { known } from '../base/assert.js';
import { quarantineFile, removeFiles, sweepDirectory } from './files.js';
import { ENTRY_WORDS } from './format.js';
import { Cursor, mergeRuns } from './merge.js';
import {
  ANSWER_WORDS,
  type AnyRequest,
  type Call,
  type DamageNote,
  type FilterJob,
  type FindAnswer,
  type MergeJob,
  type MergeResult,
  type OpenedRun,
  type OpenRun,
  QUESTION_WORDS,
  type SealJob,
} from './protocol.js';
import { DamagedRun, RunFile } from './runfile.js';
import { RunWriter, type WrittenRun } from './runwriter.js';
import { sortEntries } from './sort.js';

/**
 * The disk work of the index, synchronous, in a thread of its own: neither the event loop nor
 * libuv's pool, which slow queries may occupy, stands between a lookup and its answer.
 */
const port = known(parentPort, 'the port of the dedup worker');
const open = new Map<number, RunFile>();
/** Entries between two pauses of a merge: about 5 ms, in which other requests wait. */
const SLICE = 8192;

port.on('message', async ({ ticket, request }: Call) => {
  try {
    const gives = await serve(request);
    port.postMessage({ ticket, gives });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    port.postMessage({ ticket, error: { message, code } });
  }
});

function serve(request: AnyRequest): unknown {
  switch (request.kind) {
    case 'open':
      return openRun(request.asks);
    case 'close':
      return closeRuns(request.asks);
    case 'find':
      return find(request.asks);
    case 'seal':
      return seal(request.asks);
    case 'merge':
      return merge(request.asks);
    case 'filter':
      return loadFilter(request.asks);
    case 'remove':
      return removeFiles(request.asks);
    case 'quarantine':
      return request.asks.forEach(quarantineFile);
    case 'sweep':
      return sweepDirectory(request.asks.directory, new Set(request.asks.keep));
  }
}

function openRun(asks: OpenRun): OpenedRun | DamageNote {
  try {
    const run = RunFile.open(asks.file, asks.checksum);
    open.set(asks.number, run);
    const { secret, partitions } = run.footer;
    return { secret, partitions };
  } catch (error) {
    if (error instanceof DamagedRun) return { damaged: error.message };
    throw error;
  }
}

function closeRuns(numbers: number[]): null {
  for (const number of numbers) {
    open.get(number)?.close();
    open.delete(number);
  }
  return null;
}

function find(questions: Uint32Array): FindAnswer {
  const count = questions.length / QUESTION_WORDS;
  const answers = new Uint32Array(count * ANSWER_WORDS);
  const damaged: [number, number][] = [];
  for (let i = 0; i < count; i++) {
    const at = i * QUESTION_WORDS;
    const run = known(open.get(questions[at]), 'an open run');
    const found = run.find(questions, at + 1);
    if (found === null) continue;
    if ('damagedBlock' in found) {
      damaged.push([questions[at], found.damagedBlock]);
      continue;
    }
    answers[i * ANSWER_WORDS] = 1;
    answers.set(found.words.subarray(found.at + 4, found.at + 10), i * ANSWER_WORDS + 1);
  }
  return { answers, damaged };
}

function seal(job: SealJob): WrittenRun {
  const writer = new RunWriter(job);
  try {
    let from = 0;
    for (const count of job.counts) {
      const part = new Uint32Array(job.staging, from * ENTRY_WORDS * 4, count * ENTRY_WORDS);
      for (const at of sortEntries(part)) writer.add(part, at);
      from += count;
    }
    return known(writer.finish(), 'a run with keys');
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** Takes at most half of the thread's time, so that a seal or the machine is not kept waiting. */
async function merge(job: MergeJob): Promise<MergeResult> {
  const runs: RunFile[] = [];
  const cursors: Cursor[] = [];
  let writer: RunWriter | undefined;
  try {
    for (const input of job.inputs) runs.push(RunFile.open(input.file, input.checksum));
    for (const run of runs) cursors.push(new Cursor(run));
    writer = new RunWriter(job);
    let started = performance.now();
    for (const _ of mergeRuns(cursors, writer, job.expiredUs, SLICE)) {
      await sleep(performance.now() - started);
      started = performance.now();
    }
    const run = writer.finish();
    return { run, damaged: cursors.map((cursor) => cursor.damagedBlocks) };
  } catch (error) {
    writer?.abort();
    throw error;
  } finally {
    for (const cursor of cursors) cursor.close();
    for (const run of runs) run.close();
  }
}

function loadFilter(job: FilterJob): Uint32Array | null {
  const run = RunFile.open(job.file, job.checksum);
  try {
    return run.readFilter(job.room);
  } finally {
    run.close();
  }
}
