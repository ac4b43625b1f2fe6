/**
 * One request of the wire API, whoever carries it: fetch to a server elsewhere (fetch.ts), or the
 * routes of this very process (api/mcp.ts). Both judge and answer alike, as both end at the routes.
 */
export interface WireCall {
  method: 'GET' | 'POST' | 'DELETE';
  /** The route's template below /api/v1, e.g. `/sessions/:id/context`. */
  path: string;
  /** The value of `:id`. */
  id?: string;
  query?: Readonly<Record<string, string>>;
  body?: Readonly<Record<string, unknown>>;
  /** Not worth a second try, as the caller has another way. */
  once?: boolean;
}

export interface WireReply {
  status: number;
  /** The body; '' where there is none. */
  text: string;
  /** `x-erasure-id`, of a deletion. */
  erasureId?: string;
}

/** Carries a call. Rejects with WireError where no answer could be had. */
export type Send = (call: WireCall, signal?: AbortSignal) => Promise<WireReply>;

/** What a failed call tells a model: the members of the API's errors. */
export interface WireProblem {
  /** One sentence. */
  error: string;
  code: string;
  field?: string;
  hint?: string;
  /** Of a duplicate: the memory that is there. */
  id?: string;
  /** Names a defect of the server in its log. */
  request_id?: string;
}

/** An answer that is an error, or none at all. */
export class WireError extends Error {
  override name = 'WireError';
  readonly problem: WireProblem;

  constructor(problem: WireProblem, cause?: unknown) {
    super(problem.error, cause === undefined ? undefined : { cause });
    this.problem = problem;
  }
}

/** The problem of an error answer; a proxy in between may have answered with anything. */
export function problemOf(status: number, text: string): WireProblem {
  const body = objectIn(text);
  if (typeof body?.error !== 'string') {
    return { error: `the server answered with status ${status}`, code: `http_${status}` };
  }
  const problem: WireProblem = { error: body.error, code: textOf(body.code) ?? `http_${status}` };
  for (const name of ['field', 'hint', 'id'] as const) {
    const value = textOf(body[name]);
    if (value !== undefined) problem[name] = value;
  }
  if (status >= 500) problem.request_id = textOf(body.request_id);
  return problem;
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
