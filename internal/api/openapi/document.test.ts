import { createConfig, lintFromString } from '@redocly/openapi-core';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.js';
import type { Host } from '../../engine/services.js';
import { STATUS_OF } from '../../fault/codes.js';
import { createApp, describedRoutes } from '../app.js';
import { openApiDocument, templateOf } from './document.js';
import { ERRORS, MEANINGS } from './errors.js';

interface Described {
  operationId: string;
  security?: unknown[];
  parameters?: { name?: string; schema?: Record<string, unknown> }[];
  'x-required-permission': string;
  responses: Record<string, { content?: Record<string, { examples?: Record<string, unknown> }> }>;
}

interface Document {
  info: { description: string };
  paths: Record<string, Record<string, Described>>;
  components: {
    schemas: Record<string, { properties: Record<string, Record<string, unknown>> }>;
    examples: Record<string, { value: { code: keyof typeof STATUS_OF } }>;
  };
}

function configOf(env: Record<string, string> = {}) {
  return loadConfig({ env, cwd: '/' }).config;
}

function documentOf(env?: Record<string, string>): Document {
  const document: unknown = openApiDocument(describedRoutes(), configOf(env), '1.2.3');
  return document as Document;
}

const document = documentOf();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** A part of a page, which nobody calls for itself; and a protocol that describes itself. */
const UNDESCRIBED = ['GET /docs/redoc.js', 'POST /mcp'];

describe('the routes', () => {
  it('of the running app and those of the document are the same', () => {
    const app = createApp({ config: configOf() } as unknown as Host);
    const running = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${templateOf(path)}`)
      .filter((route) => !UNDESCRIBED.includes(route));
    const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    expect(described.sort()).toEqual([...new Set(running)].sort());
  });

  it('have an operationId each', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('need a key below /api, and none elsewhere', () => {
    for (const { path, operation } of operations) {
      const open = !path.startsWith('/api/');
      expect(operation['x-required-permission'] === 'none').toBe(open);
      expect(operation.security).toEqual(open ? [] : undefined);
    }
  });
});

describe('the errors', () => {
  it('are listed under the status of their code', () => {
    for (const { operation } of operations) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400 || operation['x-required-permission'] === 'none') continue;
        const names = Object.keys(content?.['application/json']?.examples ?? {});
        expect(names.length).toBeGreaterThan(0);
        for (const name of names) {
          expect(STATUS_OF[document.components.examples[name].value.code]).toBe(Number(status));
        }
      }
    }
  });

  it('have an example for each code, but for those that belong to no operation', () => {
    const shown = new Set<string>(Object.values(ERRORS).map(({ code }) => code));
    const missing = Object.keys(MEANINGS).filter((code) => !shown.has(code));
    expect(missing).toEqual(['method_not_allowed']);
    expect(Object.keys(document.components.examples).sort()).toEqual(Object.keys(ERRORS).sort());
  });
});

describe('the limits', () => {
  it('are those of the running configuration', () => {
    const { info, components } = documentOf({
      MEMTRACE_LIMITS_BATCH_ITEMS: '7',
      MEMTRACE_LIMITS_CONTENT_BYTES: '1234',
      MEMTRACE_LIMITS_REQUESTS_PER_SECOND: '55',
    });
    expect(components.schemas.MemoryBatchInput.properties.memories).toMatchObject({ maxItems: 7 });
    expect(components.schemas.MemoryInput.properties.content).toMatchObject({ maxLength: 1234 });
    expect(info.description).toContain('| Requests of a key | 55 a second, 110 at once |');
  });

  it('differ where a route says so', () => {
    const sinceOf = (path: string) =>
      document.paths[path].get.parameters?.find(({ name }) => name === 'since')?.schema;
    expect(sinceOf('/api/v1/agents/{id}/memories')).toMatchObject({ default: '24h' });
    expect(sinceOf('/api/v1/memories')).not.toHaveProperty('default');
  });
});

describe('a linter', () => {
  const lint = async (subject: unknown) => {
    const config = await createConfig({ extends: ['recommended'] });
    const source = JSON.stringify(subject);
    const problems = await lintFromString({ source, absoluteRef: '/openapi.json', config });
    return problems.map(({ ruleId, message, location }) => {
      return `${ruleId} at ${location[0].pointer}: ${message}`;
    });
  };

  it('finds no error and no warning', async () => {
    expect(await lint(document)).toEqual([]);
  });

  it('would find an example that breaks its schema', async () => {
    const broken = documentOf();
    Object.assign(broken.components.examples.rate_limited, { value: { code: 'rate_limited' } });
    expect((await lint(broken)).join()).toContain('no-invalid-media-type-examples');
  });
});
