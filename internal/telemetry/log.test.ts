import { expect, test } from 'vitest';
import { createLogger, type Logger, type LogOptions } from './log.js';

interface Captured {
  readonly log: Logger;
  readonly lines: string[];
}

function capture(options: Partial<LogOptions> = {}): Captured {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  return { log: createLogger({ level: 'info', format: 'json', destination, ...options }), lines };
}

/** Whatever ends a line, moves a cursor or reorders text somewhere. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const HOSTILE = 'a\r\nb\u001b[2Jc\u0000d\u2028e\u2029f\u009bg\u202eh\u200bi';

test('one JSON object a line with time, level, fields and message', () => {
  const { log, lines } = capture();
  log.child({ request_id: 'r1' }).info({ port: 9100 }, 'listening');
  const [line = ''] = lines;
  expect(line.endsWith('}\n')).toBe(true);
  const { time, ...entry } = JSON.parse(line) as Record<string, unknown>;
  expect(new Date(String(time)).toISOString()).toBe(time);
  expect(entry).toEqual({ level: 'info', request_id: 'r1', port: 9100, msg: 'listening' });
});

test('entries below the level are not written', () => {
  const { log, lines } = capture({ level: 'warn' });
  log.debug({}, 'a');
  log.info({}, 'b');
  log.warn({}, 'c');
  log.error({}, 'd');
  expect(lines).toHaveLength(2);
});

test.each(['json', 'text'] as const)('in %s one entry is one line, whatever it holds', (format) => {
  const { log, lines } = capture({ format });
  log.info({ agent_id: HOSTILE, [HOSTILE]: { deep: HOSTILE } }, HOSTILE);
  log.error({ error: new Error(HOSTILE, { cause: new Error(HOSTILE) }) }, 'failed');
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    expect(line.at(-1)).toBe('\n');
    expect(line.slice(0, -1)).not.toMatch(UNSAFE);
  }
});

test('what was escaped reads back', () => {
  const { log, lines } = capture();
  log.info({ agent_id: HOSTILE }, 'x');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ agent_id: HOSTILE });
});

test('errors are written with code, stack and causes, and a circle of causes ends', () => {
  const { log, lines } = capture();
  const root = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  log.error({ error: new TypeError('cannot flush', { cause: root }) }, 'flush failed');
  expect(JSON.parse(lines[0] ?? '').error).toMatchObject({
    type: 'TypeError',
    message: 'cannot flush',
    stack: expect.stringContaining('TypeError: cannot flush'),
    cause: { type: 'Error', message: 'no space', code: 'ENOSPC' },
  });
  root.cause = root;
  log.error({ error: root }, 'again');
  expect(lines).toHaveLength(2);
});

test.each(['json', 'text'] as const)('in %s there are no keys, contents or passwords', (format) => {
  const { log, lines } = capture({ format });
  const key = 'mtk_0123456789abcdefABCDEF_-0123456789';
  log.child({ authorization: `Bearer ${key}` }).info(
    {
      url: 'postgres://user:p@ss@db/x',
      note: `used ${key}`,
      content: 'the patient said',
      metadata: { a: 'private' },
      error: new Error(`bad key ${key}`),
    },
    `hello ${key}`,
  );
  const text = lines.join('');
  expect(text).not.toMatch(/01234|the patient|private|p@ss|ss@db/);
  expect(text).toContain('mtk_***');
  expect(text).toContain('postgres://user:***@db/x');
});

test('text is for people', () => {
  const { log, lines } = capture({ format: 'text' });
  log.warn({ port: 9100, host: '127.0.0.1', note: 'two words', n: null }, 'listening now');
  expect(lines[0]).toMatch(
    /^\d{4}-\d\d-\d\dT[\d:.]+Z WARN {2}listening now port=9100 host=127\.0\.0\.1 note="two words" /,
  );
});

test('what JSON cannot hold does not throw', () => {
  const { log, lines } = capture();
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  log.info({ circle, big: 10n, nothing: undefined }, 'odd');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'odd' });
});
