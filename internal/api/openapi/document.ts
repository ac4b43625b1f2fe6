import { known } from '../../base/assert.js';
import type { Config } from '../../config/table.js';
import { QUERY_PARAMETERS } from '../../event/schema.js';
import { sampleOf } from './curl.js';
import { byStatus, ERRORS, type ErrorName, exampleBody, SHARED, titleOf } from './errors.js';
import { infoOf } from './info.js';
import {
  type DescribedRoute,
  type Json,
  type Media,
  type Operation,
  type PublishedLimits,
  type Success,
  TAGS,
} from './operation.js';
import { schemasOf } from './schemas.js';

/**
 * The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1) of these routes. Schemas are
 * those that state the rules of the wire contract, with the limits of the running configuration.
 */
export function openApiDocument(
  routes: readonly DescribedRoute[],
  config: Config,
  version: string,
): Json {
  const limits = publishedLimits(config);
  return {
    openapi: '3.1.1',
    info: infoOf(version, limits),
    servers: [{ url: '/', description: 'This server.' }],
    security: [{ ApiKey: [] }, { Bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(routes, limits),
    components: {
      schemas: schemasOf(limits),
      parameters: { IdempotencyKey: IDEMPOTENCY_KEY },
      headers: HEADERS,
      examples: errorExamples(routes),
      securitySchemes: {
        ApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        Bearer: { type: 'http', scheme: 'bearer', description: 'The same key.' },
      },
    },
  };
}

/** The path of a route as OpenAPI writes it: `/api/v1/memories/{id}`. */
export function templateOf(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}');
}

function publishedLimits({ limits, dedup }: Config): PublishedLimits {
  const { contentBytes, metadataBytes, batchItems, bodyBytes, requestsPerSecond, burst } = limits;
  return {
    contentBytes,
    metadataBytes,
    batchItems,
    bodyBytes,
    requestsPerSecond,
    burst,
    dedupWindowHours: dedup.windowHours,
  };
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Makes a retry safe: the same key with the same bytes gets the first answer, within 24 hours ' +
    'and per route; with other bytes, 422.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
  example: '0f8fad5b-d9cb-469f-a165-70867728950e',
};

const HEADERS: Record<string, Json> = {
  RequestId: {
    description: 'Names this request in the log of the server.',
    schema: { type: 'string' },
  },
  RetryAfter: {
    description: 'In how many seconds to try again.',
    schema: { type: 'integer', minimum: 1 },
  },
  ErasureId: {
    description: 'Names the erasure, if memories were erased: see GET /api/v1/erasures/{id}.',
    schema: { type: 'string' },
  },
  RateLimitLimit: {
    description: 'Requests that the key may send at once. Only where the server limits them.',
    schema: { type: 'integer' },
  },
  RateLimitRemaining: {
    description: 'How many of these are left.',
    schema: { type: 'integer' },
  },
  RateLimitReset: {
    description: 'Seconds until all are there again.',
    schema: { type: 'integer' },
  },
};

/** Of the HTTP parser, before any route: the only way in which those without a key refuse. */
const HEADERS_TOO_LARGE: Json = {
  description: 'The headers of the request are larger than the server reads. No body.',
};

const HEADER_NAMES: Readonly<Record<string, string>> = {
  RequestId: 'x-request-id',
  RetryAfter: 'retry-after',
  ErasureId: 'x-erasure-id',
  RateLimitLimit: 'ratelimit-limit',
  RateLimitRemaining: 'ratelimit-remaining',
  RateLimitReset: 'ratelimit-reset',
};
const RATE_LIMIT = ['RateLimitLimit', 'RateLimitRemaining', 'RateLimitReset'];

function pathsOf(routes: readonly DescribedRoute[], limits: PublishedLimits): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = templateOf(route.path);
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(route, limits);
  }
  return paths;
}

function operationOf(route: DescribedRoute, limits: PublishedLimits): Json {
  const { operation, policy } = route;
  const { description } = operation;
  const text = typeof description === 'string' ? description : description(limits);
  const parameters = parametersOf(operation);
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    description: `${text.trim()}\n\n${needed(policy)}`,
    'x-required-permission': policy === 'public' ? 'none' : policy,
    ...(policy === 'public' ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(operation.body === undefined ? {} : { requestBody: requestBody(operation) }),
    responses: responsesOf(route),
    'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: sampleOf(route) }],
  };
}

function needed(policy: string): string {
  if (policy === 'public') return 'Needs no key.';
  return policy === 'any' ? 'Any valid key may.' : `Needs the permission \`${policy}\`.`;
}

function parametersOf({ pathId, query = {}, idempotent }: Operation): Json[] {
  const parameters: Json[] = [];
  if (pathId !== undefined) {
    const { description, example } = pathId;
    const schema = { type: 'string', minLength: 1 };
    parameters.push({ name: 'id', in: 'path', required: true, description, schema, example });
  }
  for (const [name, deviations] of Object.entries(query)) {
    const { description, ...schema } = known(QUERY_PARAMETERS[name], `query parameter ${name}`);
    const said = description === undefined ? {} : { description };
    parameters.push({ name, in: 'query', ...said, schema: { ...schema, ...deviations } });
  }
  if (idempotent) parameters.push({ $ref: '#/components/parameters/IdempotencyKey' });
  return parameters;
}

function requestBody({ body }: Operation): Json {
  const { description, optional, content } = known(body, 'request body');
  return { description, required: optional !== true, content: contentOf(content) };
}

function contentOf(content: Readonly<Record<string, Media>>): Json {
  const entries = Object.entries(content).map(([type, { schema, examples }]) => [
    type,
    { schema: schemaOf(schema), examples: valuesOf(examples) },
  ]);
  return Object.fromEntries(entries);
}

function schemaOf(schema: Media['schema']): Json {
  return typeof schema === 'string' ? { $ref: `#/components/schemas/${schema}` } : schema;
}

function valuesOf(examples: Readonly<Record<string, unknown>>): Json {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
}

function responsesOf({ operation, policy }: DescribedRoute): Json {
  const responses: Record<string, Json> = {};
  for (const [status, success] of Object.entries(operation.answers)) {
    responses[status] = successOf(success, policy !== 'public');
  }
  for (const [status, names] of byStatus(errorNames(operation, policy))) {
    responses[status] = errorOf(status, names);
  }
  if (policy === 'public') responses['431'] = HEADERS_TOO_LARGE;
  return responses;
}

function errorNames(operation: Operation, policy: string): ErrorName[] {
  const own = operation.errors ?? [];
  if (policy === 'public') return [...own];
  const forbidden: ErrorName[] = policy === 'any' ? [] : ['permission_denied'];
  return [...own, ...SHARED, ...forbidden];
}

function successOf({ description, content, headers = [] }: Success, limited: boolean): Json {
  const names = ['RequestId', ...headers, ...(limited ? RATE_LIMIT : [])];
  const response = { description, headers: headersOf(names) };
  return content === undefined ? response : { ...response, content: contentOf(content) };
}

function errorOf(status: number, names: readonly ErrorName[]): Json {
  const retry = status === 429 || status === 503 ? ['RetryAfter'] : [];
  const examples = names.map((name) => [name, { $ref: `#/components/examples/${name}` }]);
  return {
    description: titleOf(status),
    headers: headersOf(['RequestId', ...retry]),
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/Error' },
        examples: Object.fromEntries(examples),
      },
    },
  };
}

function headersOf(names: readonly string[]): Json {
  const entries = names.map((name) => [
    HEADER_NAMES[name],
    { $ref: `#/components/headers/${name}` },
  ]);
  return Object.fromEntries(entries);
}

function errorExamples(routes: readonly DescribedRoute[]): Json {
  const names = new Set(routes.flatMap(({ operation, policy }) => errorNames(operation, policy)));
  const entries = [...names].map((name) => [
    name,
    { summary: ERRORS[name].error, value: exampleBody(name) },
  ]);
  return Object.fromEntries(entries);
}
