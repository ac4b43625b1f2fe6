/** One answer of the server. `body` is parsed JSON, or the text if it is none. */
export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export interface CallOptions {
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The answer to a JSON request whose shape the caller knows (or does not care about). */
export type Json = Record<string, unknown>;

export interface Api {
  get<T = Json>(path: string, options?: CallOptions): Promise<Answer<T>>;
  post<T = Json>(path: string, body: unknown, options?: CallOptions): Promise<Answer<T>>;
  put<T = Json>(path: string, body: unknown, options?: CallOptions): Promise<Answer<T>>;
  del<T = Json>(path: string, options?: CallOptions): Promise<Answer<T>>;
  /** Newline-delimited events to POST /api/v1/memories. */
  ndjson<T = Json>(lines: readonly unknown[], options?: CallOptions): Promise<Answer<T>>;
}

interface Call extends CallOptions {
  method: string;
  path: string;
  text?: string;
  contentType?: string;
}

/**
 * A small client: paths are taken as they are, except that `/api/v1` is added to those that start
 * with neither it nor a route at the root (/health, /ready, /metrics, /openapi.json, /docs, /mcp).
 */
export function api(server: { url: string; key: string }, key: string = server.key): Api {
  const call = <T>(c: Call) => send<T>(server.url, key, c);
  const json = (method: string) => {
    return <T>(path: string, body: unknown, options: CallOptions = {}) =>
      call<T>({ ...options, method, path, text: JSON.stringify(body) });
  };
  return {
    get: (path, options = {}) => call({ ...options, method: 'GET', path }),
    post: json('POST'),
    put: json('PUT'),
    del: (path, options = {}) => call({ ...options, method: 'DELETE', path }),
    ndjson: (lines, options = {}) =>
      call({
        ...options,
        method: 'POST',
        path: '/memories',
        text: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
        contentType: 'application/x-ndjson',
      }),
  };
}

async function send<T>(url: string, key: string, c: Call): Promise<Answer<T>> {
  const headers: Record<string, string> = { ...c.headers };
  if (key !== '') headers['x-api-key'] = key;
  if (c.text !== undefined) headers['content-type'] = c.contentType ?? 'application/json';
  const init: RequestInit = { method: c.method, headers };
  if (c.text !== undefined) init.body = c.text;
  if (c.signal !== undefined) init.signal = c.signal;
  const response = await fetch(url + fullPath(c.path), init);
  return {
    status: response.status,
    headers: response.headers,
    body: parse(await response.text()) as T,
  };
}

const ROOT_ROUTE = /^\/(api\/v1|health|ready|metrics|openapi\.json|docs|mcp)(?![a-z])/;

function fullPath(path: string): string {
  return ROOT_ROUTE.test(path) ? path : `/api/v1${path}`;
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
