import { onlyNames } from '../event/select.js';
import { invalid } from '../fault/fault.js';

/** The few keywords of JSON Schema that the arguments of tools need. */
export interface ArgumentSchema {
  readonly type: 'string' | 'number' | 'integer' | 'array' | 'object';
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly items?: { readonly type: 'string'; readonly enum?: readonly string[] };
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
}

export interface InputSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, ArgumentSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties: false;
}

export type Arguments = Record<string, unknown>;

/**
 * The arguments that were given; null is absent, as models with strict schemas send it. Names and
 * types are checked here, and what is left (patterns, sizes, times) by the routes.
 *
 * @throws Fault invalid_field naming the argument
 */
export function checkArguments(sent: Arguments, schema: InputSchema): Arguments {
  onlyNames(Object.keys(sent), Object.keys(schema.properties), 'known argument');
  const checked: Arguments = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    const value = sent[name] ?? undefined;
    const required = schema.required?.includes(name) === true;
    if (required && (value === undefined || value === '')) {
      throw invalid(name, `${name} is required.`, property.description);
    }
    if (value === undefined) continue;
    checkValue(value, name, property);
    checked[name] = value;
  }
  return checked;
}

function checkValue(value: unknown, name: string, schema: ArgumentSchema): void {
  if (!isOfType(value, schema.type)) throw invalid(name, `${name} must be ${A[schema.type]}.`);
  // '' is absent where the routes say so, and refused by them elsewhere.
  if (typeof value === 'string' && value !== '') checkEnum(value, name, schema.enum);
  if (typeof value === 'number') checkRange(value, name, schema);
  if (!Array.isArray(value)) return;
  value.forEach((item: unknown, i) => {
    if (typeof item !== 'string') throw invalid(`${name}[${i}]`, `${name} must hold strings.`);
    checkEnum(item, `${name}[${i}]`, schema.items?.enum);
  });
}

const A: Readonly<Record<ArgumentSchema['type'], string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  array: 'a list of strings',
  object: 'an object',
};

function isOfType(value: unknown, type: ArgumentSchema['type']): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type && !Array.isArray(value);
}

function checkEnum(value: string, name: string, allowed: readonly string[] | undefined): void {
  if (allowed === undefined || allowed.includes(value)) return;
  const named = allowed.map((one) => `"${one}"`).join(', ');
  throw invalid(name, `${name} must be one of ${named}.`);
}

function checkRange(value: number, name: string, { minimum, maximum }: ArgumentSchema): void {
  if (minimum !== undefined && value < minimum) {
    throw invalid(name, `${name} must be at least ${minimum}.`);
  }
  if (maximum !== undefined && value > maximum) {
    throw invalid(name, `${name} must be at most ${maximum}.`);
  }
}
