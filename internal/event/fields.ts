import { type Fault, invalid } from '../fault/fault.js';
import type { TextRule } from './rules.js';
import { memberPath } from './text.js';

/** A fault about the member `name` of what stands at `path`; `must` goes on after the field. */
export function broken(path: string, name: string, must: string): Fault {
  const field = memberPath(path, name);
  return invalid(field, `${field} ${must}.`);
}

/** Whether a member was sent; null is absent. */
export function isSent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function requiredText(value: unknown, rule: TextRule, path: string, name: string): string {
  if (typeof value === 'string' && rule.regex.test(value)) return value;
  throw broken(path, name, isSent(value) ? rule.must : 'is required');
}

/** '' if absent. */
export function optionalText(value: unknown, rule: TextRule, path: string, name: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string' && rule.regex.test(value)) return value;
  throw broken(path, name, rule.must);
}

/** A whole number within a range, or its default if absent. */
export function wholeWithin(
  value: unknown,
  range: { min: number; default: number; max: number },
  name: string,
): number {
  if (!isSent(value)) return range.default;
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value >= range.min && value <= range.max) return value;
  }
  throw broken('', name, `must be a whole number from ${range.min} to ${range.max}`);
}

/** Texts of one rule; undefined if absent. */
export function optionalTexts(value: unknown, rule: TextRule, name: string): string[] | undefined {
  if (!isSent(value)) return undefined;
  if (!Array.isArray(value)) throw broken('', name, 'must be a list of strings');
  return value.map((item: unknown, i) => requiredText(item, rule, '', `${name}[${i}]`));
}
