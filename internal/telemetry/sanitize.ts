/**
 * What keeps one log entry on one line and secrets out of it. Ids and messages carry text of
 * agents, which may hold anything.
 */

/** Fields that may hold what a tenant stored or a secret, whoever logs them by mistake. */
const PRIVATE = new Set([
  'api_key',
  'apiKey',
  'authorization',
  'body',
  'content',
  'cookie',
  'metadata',
  'password',
  'secret',
  'x-api-key',
]);

/** Causes deeper than this are left out: a chain may be a circle. */
const MAX_CAUSES = 8;

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of an entry: errors as objects, private ones as `***`. */
export function safeFields(fields: Fields): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (PRIVATE.has(name)) safe[name] = '***';
    else safe[name] = value instanceof Error ? describeError(value) : value;
  }
  return safe;
}

interface ErrorDescription {
  type: string;
  message: string;
  code?: unknown;
  stack?: string;
  cause?: unknown;
}

function describeError(error: Error, depth = 0): ErrorDescription {
  const { cause } = error;
  return {
    type: error.name,
    message: error.message,
    ...('code' in error ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(cause === undefined || depth === MAX_CAUSES ? {} : { cause: describeCause(cause, depth) }),
  };
}

function describeCause(cause: unknown, depth: number): unknown {
  return cause instanceof Error ? describeError(cause, depth + 1) : String(cause);
}

/** Keys of the API, and passwords in URLs. */
const KEY = /mtk_[A-Za-z0-9_-]+/g;
const URL_PASSWORD = /(:\/\/[^\s/:@"\\]*):[^\s"\\]*@/g;

/**
 * What a terminal or a line reader would take for a command or a new line, as far as JSON does not
 * escape it: DEL, C1 controls, line and paragraph separators, zero-width and bidirectional marks.
 */
const UNSAFE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** One serialized JSON entry without secrets and with every unsafe character escaped. */
export function safeLine(json: string): string {
  const masked = json.replace(KEY, 'mtk_***').replace(URL_PASSWORD, '$1:***@');
  return masked.replace(UNSAFE, escapeCharacter);
}

function escapeCharacter(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A JSON entry as one line for people: `2026-11-21T08:15:00.000Z INFO  listening port=9100`. */
export function textLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${bare(name)}=${bare(value)}`);
  const head = `${time} ${String(level).toUpperCase().padEnd(5)} ${quoted(msg).slice(1, -1)}`;
  return safeLine(head + pairs.join(''));
}

/** Unquoted where that cannot be misread. */
function bare(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@%+-]+$/.test(value) ? value : quoted(value);
}

function quoted(value: unknown): string {
  return JSON.stringify(value ?? '');
}
