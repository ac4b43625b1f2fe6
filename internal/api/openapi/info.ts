import { STATUS_OF } from '../../fault/codes.js';
import { MEANINGS, type VisibleCode } from './errors.js';
import type { Json, PublishedLimits } from './operation.js';

/** The head of the document. */
export function infoOf(version: string, limits: PublishedLimits): Json {
  return {
    title: 'memtrace',
    version,
    summary: 'A time-series memory server for AI agents',
    description: introduction(limits),
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  };
}

function introduction(limits: PublishedLimits): string {
  return `
Agents write what they did, decided and learned; they read it back by time, by filter, or as text
for a prompt. All of it is JSON over HTTP.

# First steps

\`\`\`sh
curl "$MEMTRACE_URL/api/v1/memories" -H "x-api-key: $MEMTRACE_API_KEY" \\
  -H 'content-type: application/json' \\
  -d '{"agent_id": "crawler_1", "content": "Found 3 product pages"}'
curl "$MEMTRACE_URL/api/v1/memories?agent_id=crawler_1&since=24h" \\
  -H "x-api-key: $MEMTRACE_API_KEY"
\`\`\`

# What holds for every request

- **Keys.** \`x-api-key: mtk_…\` or \`Authorization: Bearer mtk_…\`. The key names the
  organization; what belongs to another one answers 404. Permissions: \`read\`, \`write\`, and
  \`admin\`, which implies both; each operation says which it needs.
- **Durable.** A 2xx to anything that changes something is sent once that is on the disk; every read
  after it sees it.
- **Absent.** In what is stored, \`null\` means absent. As a filter \`""\` is refused, and so is an
  unknown parameter: a mistake never widens a result or a deletion.
- **Times** are RFC 3339 in UTC. \`since\` and \`until\` also take \`now\`, a date, or a span
  back from now: \`30m\`, \`24h\`, \`7d\`, \`2w\`. A window is \`since <= time < until\`.
- **Pages.** Send \`next_cursor\` of one page as \`cursor\` for the next, with the same filters,
  until \`has_more\` is false.
- **Retries.** \`Idempotency-Key\` makes a repeated POST safe: see the operations that take it.
- **Bodies** may be sent with \`Content-Encoding: gzip\`; limits count the inflated bytes.
- **Request ids.** Every answer carries \`x-request-id\`: yours, if it is 1 to 128 letters, digits,
  \`.\`, \`_\` or \`-\`, or a new one. The log of the server knows it.

# Limits of this server

| limit | value |
|---|---|
| Content of a memory | ${limits.contentBytes} bytes of UTF-8 |
| Metadata of a memory | ${limits.metadataBytes} bytes as JSON |
| Memories in a batch | ${limits.batchItems} |
| A request body | ${limits.bodyBytes} bytes; NDJSON has no limit |
| Requests of a key | ${rateOf(limits)} |

# Errors

\`{"error": "<one sentence>", "code": "…", "field"?: "…", "hint"?: "…", "request_id": "…"}\`:
switch on \`code\`, show \`error\`, log \`request_id\`. With 429 and 503 \`Retry-After\` says in how
many seconds to try again.

| code | status | meaning |
|---|---|---|
${errorRows()}`;
}

function rateOf({ requestsPerSecond, burst }: PublishedLimits): string {
  if (requestsPerSecond === 0) return 'no limit';
  return `${requestsPerSecond} a second, ${burst > 0 ? burst : 2 * requestsPerSecond} at once`;
}

function errorRows(): string {
  const codes = Object.keys(MEANINGS) as VisibleCode[];
  return codes.map((code) => `| \`${code}\` | ${STATUS_OF[code]} | ${MEANINGS[code]} |`).join('\n');
}
