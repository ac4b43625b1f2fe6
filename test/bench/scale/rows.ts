import { quoteText } from '../../../internal/store/parquet/duck.js';
import { ACTIVE_SESSIONS, EVENTS_PER_SESSION, TEXTS, TYPES } from '../harness/events.js';

/**
 * The bench's events as SQL over their numbers, so that a hundred million of them are made in
 * minutes. The nth one is what `benchEvent` makes of n, spread over more agents and organizations;
 * ids and deduplication keys cost as many bits as those that the server gives.
 */
export interface Shape {
  label: string;
  /** Whole microseconds: the nth event's time is startUs + n * stepUs. */
  startUs: number;
  stepUs: number;
  agents: number;
  /** Three of four sessions are the first one's. */
  orgs: readonly [string, string];
}

/** The agent of a session's number. */
export function agentOf(session: number, agents: number): string {
  return `agent-${session % agents}`;
}

/** The organization of a session's number: 0 or 1 of `Shape.orgs`. */
export function orgOf(session: number): 0 | 1 {
  return session % 4 === 3 ? 1 : 0;
}

/** The number of the nth event's session; `sessionOf` of the harness makes its name of it. */
export function sessionNumber(n: number): number {
  const block = Math.floor(n / (ACTIVE_SESSIONS * EVENTS_PER_SESSION));
  return block * ACTIVE_SESSIONS + (n % ACTIVE_SESSIONS);
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** An id's counter goes by about so much, as base/ulid.ts steps. */
const ID_STEP = 2 ** 19;
const HALF_BITS = 40;

/** Rows of the stored columns for the numbers `from` <= n < `to`. */
export function selectRows(shape: Shape, from: number, to: number): string {
  const { label, startUs, stepUs, agents, orgs } = shape;
  const block = ACTIVE_SESSIONS * EVENTS_PER_SESSION;
  const texts = TEXTS.map(quoteText).join(', ');
  const types = TYPES.map(quoteText).join(', ');
  return `
    SELECT make_timestamp(us)::TIMESTAMPTZ AS "time",
      ${idOf(startUs)} AS id,
      CASE WHEN s % 4 = 3 THEN ${quoteText(orgs[1])} ELSE ${quoteText(orgs[0])} END AS org_id,
      'agent-' || (s % ${agents}) AS agent_id,
      ${quoteText(`s-${label}-`)} || s AS session_id,
      [${types}][n % 4 + 1] AS memory_type,
      CASE WHEN n % 97 = 0 THEN 'error' ELSE 'step' END AS event_type,
      [${texts}][n % 4 + 1] || ${quoteText(` ${label}.`)} || n || '.' || (hash(n) % 1000000000)
        AS content,
      '{"step":' || n || '}' AS metadata_json, 'bench' AS tags_csv,
      md5(${quoteText(label)} || n) AS dedup_key, (n % 10) / 10.0::DOUBLE AS importance,
      '' AS parent_id, make_timestamp(us)::TIMESTAMPTZ AS ingested_at,
      NULL::TIMESTAMPTZ AS expires_at
    FROM (SELECT range AS n, ${startUs} + range * ${stepUs} AS us,
        range * ${ID_STEP} + (hash(range + 7) % ${ID_STEP})::BIGINT AS c,
        (range // ${block}) * ${ACTIVE_SESSIONS} + range % ${ACTIVE_SESSIONS} AS s
      FROM range(${from}, ${to}))`;
}

/** The constant of a process in the ids that it gives: any number of 39 bits. */
function idHigh(startUs: number): number {
  return startUs % 2 ** 39;
}

function idOf(startUs: number): string {
  const time = base32('us // 1000', 10);
  const high = base32(`${idHigh(startUs)} + (c >> ${HALF_BITS})`, 8);
  return `'mem_' || ${time} || ${high} || ${base32(`c & ${2 ** HALF_BITS - 1}`, 8)}`;
}

function base32(value: string, digits: number): string {
  const digit = (_: unknown, i: number) => {
    const shift = 5 * (digits - 1 - i);
    return `${quoteText(ALPHABET)}[(((${value}) >> ${shift}) & 31) + 1]`;
  };
  return Array.from({ length: digits }, digit).join(' || ');
}
