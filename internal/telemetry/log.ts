import pino from 'pino';
import { Output } from './output.js';
import { type Fields, safeFields, safeLine, textLine } from './sanitize.js';

/**
 * Writes entries: what happened as a short constant sentence, the particulars as fields. Errors are
 * fields like others, written with their causes. Never pass contents, metadata or keys.
 */
export interface Logger {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A logger whose entries all carry these fields. */
  child(fields: Fields): Logger;
  /** Writes what waits, holding up the caller. Done by itself when the process exits. */
  flush(): void;
}

export interface LogOptions {
  level: 'debug' | 'info' | 'warn' | 'error';
  /** `json`: one object a line; `text`: one readable line an entry. */
  format: 'json' | 'text';
  /** Takes each line with its end; standard output if absent. */
  destination?: LogDestination;
}

export interface LogDestination {
  write(line: string): unknown;
  flushSync?(): void;
}

/** Bytes that wait for a reader that does not read; beyond it entries are lost. */
const MAX_WAITING_BYTES = 8 * 2 ** 20;

/** A logger to standard output, or to `destination`. */
export function createLogger({ level, format, destination }: LogOptions): Logger {
  const toLine = format === 'text' ? textLine : safeLine;
  const target = destination ?? standardOutput(toLine);
  const root = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (json: string) => target.write(`${toLine(json.trimEnd())}\n`) },
  );
  return toLogger(root, () => target.flushSync?.());
}

function toLogger(inner: pino.Logger, flush: () => void): Logger {
  return {
    debug: (fields, message) => {
      if (inner.isLevelEnabled('debug')) inner.debug(safeFields(fields), message);
    },
    info: (fields, message) => {
      if (inner.isLevelEnabled('info')) inner.info(safeFields(fields), message);
    },
    warn: (fields, message) => {
      if (inner.isLevelEnabled('warn')) inner.warn(safeFields(fields), message);
    },
    error: (fields, message) => inner.error(safeFields(fields), message),
    child: (fields) => toLogger(inner.child(safeFields(fields)), flush),
    flush,
  };
}

/** Standard output; what still waits when the process exits is written then. */
function standardOutput(toLine: (json: string) => string): LogDestination {
  const output = new Output({
    fd: 1,
    maxWaitingBytes: MAX_WAITING_BYTES,
    lostLine: (entries) => {
      const time = new Date().toISOString();
      const msg = 'log entries were lost: the output was full or not read';
      return `${toLine(JSON.stringify({ level: 'warn', time, entries, msg }))}\n`;
    },
  });
  process.once('exit', () => output.flushSync());
  return output;
}

/** Writes nothing: for tests and for commands that report in another way. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
  flush: () => undefined,
};
