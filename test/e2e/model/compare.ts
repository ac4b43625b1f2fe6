/** The server and the model disagree. */
export class Difference extends Error {}

/** Throws a Difference that shows the first place where two JSON values part. */
export function same(what: string, got: unknown, expected: unknown): void {
  const at = firstDifference(got, expected, '');
  if (at !== undefined) throw new Difference(`${what}: ${at}`);
}

function firstDifference(got: unknown, expected: unknown, path: string): string | undefined {
  if (Object.is(got, expected)) return undefined;
  if (!isObject(got) || !isObject(expected) || Array.isArray(got) !== Array.isArray(expected)) {
    return `at ${path || 'the top'}: got ${show(got)}, expected ${show(expected)}`;
  }
  if (Array.isArray(got) && Array.isArray(expected) && got.length !== expected.length) {
    const counts = `got ${got.length} items, expected ${expected.length}`;
    return `at ${path}: ${counts}; ${inOne(got, expected)}`;
  }
  for (const key of new Set([...Object.keys(got), ...Object.keys(expected)])) {
    const found = firstDifference(got[key], expected[key], `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inOne(got: unknown[], expected: unknown[]): string {
  const name = (value: unknown) => (isObject(value) ? show(value['id'] ?? value) : show(value));
  const gotNames = new Set(got.map(name));
  const expectedNames = new Set(expected.map(name));
  const extra = [...gotNames].filter((n) => !expectedNames.has(n));
  const missing = [...expectedNames].filter((n) => !gotNames.has(n));
  return `too many: ${extra.slice(0, 3)}; missing: ${missing.slice(0, 3)}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 300);
}
