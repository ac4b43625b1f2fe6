import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';

type Json = Record<string, unknown>;

interface Response {
  headers?: Json;
  content?: Record<string, unknown>;
}

interface Operation {
  operationId: string;
  'x-required-permission': string;
  requestBody?: unknown;
  responses: Record<string, Response>;
}

export interface Route {
  method: string;
  /** As OpenAPI writes it: `/api/v1/memories/{id}`. */
  path: string;
  operation: Operation;
}

/** One answer of the server. */
export interface Answered {
  method: string;
  path: string;
  status: number;
  headers: Headers;
  text: string;
}

/**
 * An OpenAPI document as a judge of real answers: the status must be documented, the headers and
 * the media type must be those of the document, and a JSON body must match its schema, without any
 * member that the schema does not name.
 */
export class Contract {
  readonly routes: readonly Route[];
  /** `operationId status` of every answer that was judged. */
  readonly seen = new Set<string>();
  private readonly ajv: Ajv2020;
  private readonly validators = new Map<string, ValidateFunction>();

  constructor(document: unknown) {
    const { paths } = document as { paths: Record<string, Record<string, Operation>> };
    this.routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => {
        return { method: method.toUpperCase(), path, operation };
      }),
    );
    this.ajv = new Ajv2020({ strict: false, allErrors: true, formats: fullFormats });
    this.ajv.addSchema(closed(document) as Json, 'document');
  }

  /** `operationId status` of all that is documented. */
  documented(): string[] {
    return this.routes.flatMap(({ operation }) =>
      Object.keys(operation.responses).map((status) => `${operation.operationId} ${status}`),
    );
  }

  /** What is wrong with an answer; empty if nothing is. */
  judge(answer: Answered): string[] {
    const route = this.routeOf(answer);
    const what = `${answer.method} ${answer.path} → ${answer.status}`;
    if (route === undefined) return [`${what}: no such route in the document`];
    const response = route.operation.responses[String(answer.status)];
    if (response === undefined) return [`${what}: the status is not documented`];
    this.seen.add(`${route.operation.operationId} ${answer.status}`);
    const problems = [...headerProblems(response, answer), ...this.bodyProblems(route, answer)];
    return problems.map((problem) => `${what}: ${problem}\n${answer.text.slice(0, 300)}`);
  }

  private routeOf({ method, path }: Answered): Route | undefined {
    const bare = path.split('?', 1)[0];
    const fits = this.routes.filter((route) => {
      const pattern = `^${route.path.replace('{id}', '[^/]+')}$`;
      return route.method === method && new RegExp(pattern).test(bare);
    });
    // A literal path before one with a variable, as the server routes.
    return fits.find((route) => route.path === bare) ?? fits[0];
  }

  private bodyProblems({ path, method, operation }: Route, answer: Answered): string[] {
    const { content } = operation.responses[String(answer.status)];
    if (content === undefined) return answer.text === '' ? [] : ['a body that is not documented'];
    const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0];
    if (content[type] === undefined) return [`the content type ${type} is not documented`];
    if (type !== 'application/json') return [];
    const place = [path, method.toLowerCase(), 'responses', String(answer.status), 'content', type];
    const validate = this.validatorAt(`/paths/${place.map(escaped).join('/')}/schema`);
    if (validate(JSON.parse(answer.text))) return [];
    return (validate.errors ?? []).map(({ instancePath, message, params }) => {
      return `${instancePath} ${message} ${JSON.stringify(params)}`;
    });
  }

  private validatorAt(pointer: string): ValidateFunction {
    const known = this.validators.get(pointer);
    if (known !== undefined) return known;
    const validate = this.ajv.compile({ $ref: `document#${pointer}` });
    this.validators.set(pointer, validate);
    return validate;
  }
}

/** Optional where the description of the header says so. */
const NOT_ALWAYS = /^(ratelimit-.*|x-erasure-id)$/;
const JUDGED = /^(x-request-id|retry-after|x-erasure-id|ratelimit-.*)$/;

function headerProblems({ headers = {} }: Response, answer: Answered): string[] {
  const documented = Object.keys(headers);
  const missing = documented.filter((name) => !NOT_ALWAYS.test(name) && !answer.headers.has(name));
  const extra = [...answer.headers.keys()].filter(
    (name) => JUDGED.test(name) && !documented.includes(name),
  );
  return [
    ...missing.map((name) => `the header ${name} is missing`),
    ...extra.map((name) => `the header ${name} is not documented`),
  ];
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** The same schemas, refusing members that they do not name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, v]) => [key, closed(v)]));
  const isObject = copy['type'] === 'object' && typeof copy['properties'] === 'object';
  if (isObject && !('additionalProperties' in copy)) copy['additionalProperties'] = false;
  return copy;
}
