import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Fault } from '../fault/fault.js';
import type { HttpRequest } from './http.js';

/**
 * Request bodies: capped while they stream in, before and after inflating, and never kept longer
 * than the request. A slow sender is cut off, so that it cannot hold its share of the bytes.
 */
export interface BodySource {
  headers(name: string): string | undefined;
  stream(): Readable;
}

/** What bounds a body. */
export interface BodyLimits {
  maxBytes: number;
  /** From its first look to its last byte: a body that trickles is cut off. */
  timeoutMs: number;
}

const LOOK_EVERY_MS = 1_000;

/** The body of a Node request, or of a Request in tests that open no port. */
export function bodySource(http: HttpRequest): BodySource {
  return { headers: (name) => http.header(name), stream: () => http.node ?? webStream(http.web) };
}

function webStream(request: Request | undefined): Readable {
  if (!request?.body) return Readable.from([]);
  return Readable.fromWeb(request.body as import('node:stream/web').ReadableStream);
}

/** The bytes that a body says it has; null for a chunked one. */
export function declaredLength(source: BodySource): number | null {
  const text = source.headers('content-length');
  return text === undefined ? null : Number(text);
}

/** The body inflated. Rejects with `body_too_large`, `unsupported_media_type` or `invalid_json`. */
export async function readBody(source: BodySource, limits: BodyLimits): Promise<Buffer> {
  const { maxBytes } = limits;
  const declared = declaredLength(source);
  if (declared !== null && declared > maxBytes) throw tooLarge(maxBytes);
  const stream = inflated(source);
  const chunks: Buffer[] = [];
  let bytes = 0;
  const leave = watch(stream, limits.timeoutMs);
  try {
    for await (const chunk of chunksOf(stream)) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    throw readFault(error);
  } finally {
    leave();
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes);
}

/**
 * The same for the hot path: a small plain body of a Node request, which usually is there at once.
 * An async iterator costs several times as much as these listeners.
 */
export function readSmallBody(incoming: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const { maxBytes } = limits;
  return new Promise((resolve, reject) => {
    let first: Buffer | null = null;
    let rest: Buffer[] | null = null;
    let bytes = 0;
    const leave = watch(incoming, limits.timeoutMs);
    const fail = (fault: unknown): void => {
      leave();
      incoming.pause();
      reject(fault);
    };
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) fail(tooLarge(maxBytes));
      else if (first === null) first = chunk;
      else if (rest === null) rest = [first, chunk];
      else rest.push(chunk);
    });
    incoming.on('end', () => {
      leave();
      resolve(rest === null ? (first ?? EMPTY) : Buffer.concat(rest, bytes));
    });
    incoming.on('error', (error) => fail(readFault(error)));
    incoming.on('close', () => {
      if (!incoming.complete) fail(clientGone());
    });
  });
}

const EMPTY = Buffer.alloc(0);

/** Bodies under way with their deadlines: one timer for all, as most are there at once. */
const underWay = new Map<Readable, number>();
const watchman: { timer: NodeJS.Timeout | null } = { timer: null };

/** Cuts a stream off that is not over in time; the answer ends the watch. */
function watch(stream: Readable, timeoutMs: number): () => void {
  underWay.set(stream, performance.now() + timeoutMs);
  watchman.timer ??= setInterval(cutSlow, LOOK_EVERY_MS).unref();
  return () => underWay.delete(stream);
}

function cutSlow(): void {
  const now = performance.now();
  for (const [stream, deadline] of underWay) if (deadline < now) stream.destroy(tooSlow());
}

/** The decoded stream of a body, for readers that do not keep it. */
export function inflated(source: BodySource): Readable {
  const coding = source.headers('content-encoding')?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return source.stream();
  if (coding !== 'gzip' && coding !== 'x-gzip') {
    throw new Fault('unsupported_media_type', 'this Content-Encoding is not supported', {
      field: 'Content-Encoding',
      hint: 'send the body plain or with gzip',
    });
  }
  const raw = source.stream();
  const gunzip = createGunzip();
  raw.on('error', (error) => gunzip.destroy(error));
  raw.on('close', () => {
    if (!raw.readableEnded) gunzip.destroy(clientGone());
  });
  return raw.pipe(gunzip);
}

/**
 * The pieces of a stream. A reader that stops early leaves the connection open: the rest of a
 * refused body is read away by the adapter, so that the client gets to see why.
 */
export function chunksOf(stream: Readable): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => stream.iterator({ destroyOnReturn: false }) };
}

/** What a failure of a body's stream means to the client. */
export function readFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('Z_') || code === 'ERR_BUFFER_TOO_LARGE') {
    return new Fault('invalid_json', 'the body is not valid gzip', { cause: error });
  }
  return clientGone(error);
}

/** The JSON value of a body. Rejects with `invalid_json`. */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new Fault('invalid_json', 'the body is not valid UTF-8');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new Fault('invalid_json', 'the body is not valid JSON', { cause: error });
  }
}

function tooLarge(maxBytes: number): Fault {
  return new Fault('body_too_large', `the body is larger than ${maxBytes} bytes`, {
    hint: 'send smaller batches, or a stream of application/x-ndjson',
  });
}

function tooSlow(): Fault {
  return new Fault('client_closed_request', 'the body took too long to arrive');
}

function clientGone(cause?: unknown): Fault {
  return new Fault('client_closed_request', 'the client went away', { cause });
}
