import type { DescribedRoute, Media } from './operation.js';

/** A line of curl that does what the first example of a route shows. */
export function sampleOf({ method, path, policy, operation }: DescribedRoute): string {
  const concrete = path.replace(':id', operation.pathId?.example ?? ':id');
  const parts = [`curl ${requestFlag(method, operation.body !== undefined)}`];
  parts[0] += `"$MEMTRACE_URL${concrete}${queryFor(operation.id)}"`;
  if (policy !== 'public') parts.push(`-H "x-api-key: $MEMTRACE_API_KEY"`);
  const [media] = Object.entries(operation.body?.content ?? {});
  if (media !== undefined) {
    const [type, { examples }] = media as [string, Media];
    parts.push(`-H 'content-type: ${type}'`, `-d '${shown(Object.values(examples)[0])}'`);
  }
  return parts.join(' \\\n  ');
}

function requestFlag(method: string, hasBody: boolean): string {
  const implied = hasBody ? 'POST' : 'GET';
  return method === implied ? '' : `-X ${method} `;
}

/** A filter where the route is of little use, or refused, without one. */
function queryFor(operationId: string): string {
  if (operationId === 'forgetMemories') return '?session_id=sess_42';
  if (operationId === 'listMemories') return '?agent_id=crawler_1&since=24h';
  return '';
}

function shown(example: unknown): string {
  const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return text.replaceAll("'", `'\\''`);
}
