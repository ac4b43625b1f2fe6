import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../fault/fault.js';
import { cursorAfter, decodeCursor, encodeCursor, resumeFrom } from './cursor.js';
import { decodeListQuery } from './query.js';

const SECRET = 'a secret of this installation';
const CANONICAL = '["org_1 /memories","desc",[["agent_id","a"]]]';
const CURSOR = {
  sinceUs: 1,
  untilUs: 1_795_000_000_123_457,
  place: { timeUs: 1_795_000_000_123_456, id: 'mem_01ARYZ6S41TSV4RRFFQ69G5FAV' },
};

function refused(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code: 'invalid_cursor', status: 400 });
    expect((error as Fault).details.field).toBe('cursor');
    return true;
  }
}

test('comes back as it was made', () => {
  const us = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const window = fc.option(us, { nil: undefined });
  const id = fc.stringMatching(/^[a-z]{3,5}_[0-9A-Z]{26}$/);
  fc.assert(
    fc.property(window, window, us, id, (sinceUs, untilUs, timeUs, name) => {
      const cursor = { sinceUs, untilUs, place: { timeUs, id: name } };
      const text = encodeCursor(SECRET, CANONICAL, cursor);
      expect(text).toMatch(/^[\w-]+$/);
      expect(text.length).toBeLessThan(200);
      expect(decodeCursor(SECRET, CANONICAL, text)).toEqual(cursor);
    }),
  );
});

describe('is refused', () => {
  const text = encodeCursor(SECRET, CANONICAL, CURSOR);

  test('with other filters, another order, another organization, another secret', () => {
    expect(refused(() => decodeCursor(SECRET, CANONICAL.replace('"a"', '"b"'), text))).toBe(true);
    expect(refused(() => decodeCursor(SECRET, CANONICAL.replace('desc', 'asc'), text))).toBe(true);
    expect(refused(() => decodeCursor(SECRET, CANONICAL.replace('_1', '_2'), text))).toBe(true);
    expect(refused(() => decodeCursor(`${SECRET}.`, CANONICAL, text))).toBe(true);
  });

  test('with any bit changed', () => {
    const bytes = Buffer.from(text, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      expect(refused(() => decodeCursor(SECRET, CANONICAL, flipped.toString('base64url')))).toBe(
        true,
      );
    }
  });

  test('in any other spelling', () => {
    for (const other of ['', 'x', text.slice(0, -1), `${text}A`, `${text}=`, ` ${text}`]) {
      expect(refused(() => decodeCursor(SECRET, CANONICAL, other))).toBe(true);
    }
  });

  test('whatever else is sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (other) => {
        expect(refused(() => decodeCursor(SECRET, CANONICAL, other))).toBe(true);
      }),
    );
  });
});

test('pages keep the window that the first one resolved', () => {
  const now = Date.UTC(2026, 10, 21) * 1000;
  const query = { since: ['1h'], agent_id: ['a'] };
  const first = decodeListQuery(query, { nowUs: now, scope: 'org_1' });
  const { filter, after } = resumeFrom(first, SECRET);
  expect(filter).toEqual({ sinceUs: now - 3_600_000_000, agentIds: ['a'] });
  expect(after).toBeUndefined();
  const cursor = cursorAfter(first, filter, CURSOR.place, SECRET);
  const hours = 5 * 3_600_000_000;
  const second = decodeListQuery(
    { ...query, cursor: [cursor] },
    { nowUs: now + hours, scope: 'org_1' },
  );
  expect(resumeFrom(second, SECRET)).toEqual({ filter, after: CURSOR.place });
  expect(cursorAfter(second, filter, CURSOR.place, SECRET)).toBe(cursor);
});
