import { MemtraceError } from './errors.js';
import { jsonLines, linesOf } from './lines.js';
import type { Call, RequestOptions, Transport } from './transport.js';
import type { Memory, MemoryInput, MemoryStream } from './types.js';

const UPLOAD: Call = { method: 'POST', path: '/api/v1/memories', repeat: 'once' };
const NDJSON = 'application/x-ndjson';
/** Of one request where bodies cannot be streamed. */
const PIECE_CHARACTERS = 1024 * 1024;
const REJECTED_SHOWN = 100;

type Source = Iterable<MemoryInput> | AsyncIterable<MemoryInput>;

/** POST /memories, one memory a line. Never sent twice: a part of it may be stored. */
export async function uploadLines(
  transport: Transport,
  source: Source,
  options: RequestOptions,
): Promise<MemoryStream> {
  if (streamsBodies()) return uploadStream(transport, source, options);
  return uploadPieces(transport, source, options);
}

/** Browsers stream request bodies, if at all, over HTTP/2 only; the servers' runtimes all do. */
function streamsBodies(): boolean {
  const runtime = globalThis as { process?: { versions?: { node?: string } }; Deno?: unknown };
  return runtime.process?.versions?.node !== undefined || runtime.Deno !== undefined;
}

async function uploadStream(
  transport: Transport,
  source: Source,
  options: RequestOptions,
): Promise<MemoryStream> {
  const pieces = jsonLines(source);
  const encoder = new TextEncoder();
  const deadline = transport.deadline(options);
  let failure: { cause: unknown } | undefined;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      // A slow source is not a slow server.
      deadline.rest();
      try {
        const { done, value } = await pieces.next();
        deadline.wind();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value.text));
      } catch (cause) {
        failure = { cause };
        controller.error(cause);
      }
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
  try {
    const raw = { contentType: NDJSON, body };
    return await transport.upload<MemoryStream>(UPLOAD, raw, { options, deadline });
  } catch (error) {
    if (failure !== undefined) throw failure.cause;
    throw error instanceof MemtraceError ? error : deadline.explain(error);
  } finally {
    deadline.abandon();
    await pieces.return(undefined);
  }
}

async function uploadPieces(
  transport: Transport,
  source: Source,
  options: RequestOptions,
): Promise<MemoryStream> {
  const total: MemoryStream = { accepted: 0, duplicates: 0, rejected: [], rejected_count: 0 };
  let linesBefore = 0;
  let text = '';
  let lines = 0;
  const send = async () => {
    const answer = await uploadPiece(transport, text, options);
    addTo(total, answer, linesBefore);
    linesBefore += lines;
    text = '';
    lines = 0;
  };
  for await (const piece of jsonLines(source)) {
    text += piece.text;
    lines += piece.lines;
    if (text.length >= PIECE_CHARACTERS) await send();
  }
  if (lines > 0) await send();
  return total;
}

async function uploadPiece(
  transport: Transport,
  body: string,
  options: RequestOptions,
): Promise<MemoryStream> {
  const deadline = transport.deadline(options);
  try {
    const raw = { contentType: NDJSON, body };
    return await transport.upload<MemoryStream>(UPLOAD, raw, { options, deadline });
  } catch (error) {
    throw error instanceof MemtraceError ? error : deadline.explain(error);
  } finally {
    deadline.clear();
  }
}

function addTo(total: MemoryStream, piece: MemoryStream, linesBefore: number): void {
  total.accepted += piece.accepted;
  total.duplicates += piece.duplicates;
  total.rejected_count += piece.rejected_count;
  for (const rejected of piece.rejected) {
    if (total.rejected.length >= REJECTED_SHOWN) return;
    total.rejected.push({ ...rejected, line: rejected.line + linesBefore });
  }
}

interface End {
  end: true;
  count: number;
  incomplete?: boolean;
}

/** GET /export. Throws `cut_stream` if the last line, which counts the others, is missing. */
export async function* exportLines(
  transport: Transport,
  call: Call,
  options: RequestOptions,
): AsyncGenerator<Memory, { count: number; incomplete: boolean }, undefined> {
  const { response, deadline } = await transport.open(call, options);
  let count = 0;
  try {
    const body = response.body ?? new Blob([]).stream();
    for await (const line of linesOf(body, () => deadline.wind())) {
      if (line === '') continue;
      deadline.rest();
      const value = JSON.parse(line) as Memory | End;
      if ('end' in value) {
        if (value.count !== count) throw cut(count, value.count);
        return { count, incomplete: value.incomplete === true };
      }
      count += 1;
      yield value;
      deadline.wind();
    }
    throw cut(count);
  } catch (error) {
    if (error instanceof MemtraceError) throw error;
    if (error instanceof SyntaxError) throw cut(count);
    throw deadline.explain(error);
  } finally {
    deadline.abandon();
  }
}

function cut(count: number, of?: number): MemtraceError {
  const whole = of === undefined ? '' : ` of ${of}`;
  return new MemtraceError(`the export ended after ${count}${whole} memories, before its end`, {
    code: 'cut_stream',
  });
}
