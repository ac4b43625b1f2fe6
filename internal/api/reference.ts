import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context } from 'hono';
import type { Config } from '../config/table.js';
import { VERSION } from '../engine/version.js';
import { type Env, fromHono } from './http.js';
import { openApiDocument } from './openapi/document.js';
import type { DescribedRoute } from './openapi/operation.js';

/** A text that is made when it is first asked for, and compressed once. */
class Cached {
  private readonly make: () => string | Promise<string>;
  private made: Promise<{ plain: Buffer; gzipped: Buffer }> | null = null;

  constructor(make: () => string | Promise<string>) {
    this.make = make;
  }

  async answer(c: Context<Env>, headers: Record<string, string>): Promise<Response> {
    this.made ??= this.build();
    const { plain, gzipped } = await this.made;
    const accepts = /\bgzip\b/.test(fromHono(c).header('accept-encoding') ?? '');
    const coding: Record<string, string> = accepts ? { 'content-encoding': 'gzip' } : {};
    const all = { ...headers, ...coding, vary: 'accept-encoding' };
    return new Response(accepts ? gzipped : plain, { headers: all });
  }

  private async build(): Promise<{ plain: Buffer; gzipped: Buffer }> {
    const plain = Buffer.from(await this.make());
    return { plain, gzipped: await promisify(gzip)(plain) };
  }
}

/**
 * The description of the API, for tools and for people. Everything comes from this server, so that
 * it works without internet; nothing in it belongs to a tenant.
 */
export class Reference {
  private readonly document: Cached;
  private readonly script = new Cached(readScript);

  /** @param routes asked for when the document is first read */
  constructor(routes: () => readonly DescribedRoute[], config: Config) {
    this.document = new Cached(() => JSON.stringify(openApiDocument(routes(), config, VERSION)));
  }

  /** GET /openapi.json */
  openApi(c: Context<Env>): Promise<Response> {
    return this.document.answer(c, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
    });
  }

  /** GET /docs */
  page(): Response {
    return new Response(PAGE, {
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      },
    });
  }

  /** GET /docs/redoc.js, which the page loads. */
  asset(c: Context<Env>): Promise<Response> {
    return this.script.answer(c, {
      'content-type': 'text/javascript; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'cache-control': 'public, max-age=3600',
    });
  }
}

/** Beside this module where the build put it; in a checkout that was only compiled, its package. */
async function readScript(): Promise<string> {
  try {
    return await readFile(new URL('redoc.standalone.js', import.meta.url), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const inPackage = import.meta.resolve('redoc/bundles/redoc.standalone.js');
    return await readFile(fileURLToPath(inPackage), 'utf8');
  }
}

/** Redoc styles the page from its script and searches in a worker that it makes of a blob. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const CODE_FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace';

const THEME = {
  colors: { primary: { main: '#1f5fbf' } },
  sidebar: { width: '280px', backgroundColor: '#f7f8fa' },
  rightPanel: { backgroundColor: '#1f2733' },
  typography: {
    fontFamily: FONT,
    fontSize: '15px',
    headings: { fontFamily: FONT },
    code: { fontFamily: CODE_FONT, fontSize: '13px' },
  },
};

function attribute(value: unknown): string {
  return JSON.stringify(value).replaceAll('&', '&amp;').replaceAll('"', '&quot;');
}

/** Paths are relative, so that a proxy may serve it below a prefix. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>memtrace API</title>
<style>
body { margin: 0; font-family: ${FONT}; }
td code { white-space: nowrap; }
</style>
</head>
<body>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<redoc spec-url="openapi.json" required-props-first="true" hide-download-button="true"
  json-sample-expand-level="3" theme="${attribute(THEME)}"></redoc>
<script src="docs/redoc.js"></script>
</body>
</html>
`;
