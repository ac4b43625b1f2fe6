import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { agent, answer, key, NOON, org, partition, session, span } from '../fixtures.suite.js';
import type { Metadata } from '../metadata.js';
import { Database, type Values } from './database.js';
import { openSqliteMetadata } from './sqlite.js';

/** Tables that grow with use: a request must never walk over one. */
const LARGE = new RegExp(
  'SCAN (k|o|p|orgs|keys|agents|sessions|session_counts|answers|deletions|partitions|spans|' +
    'agent_spans|org_spans|span_agents|span_orgs)\\b' +
    // Partial indexes of only the rows in question.
    '(?! USING INDEX (deletions_open|orgs_to_purge))',
);

async function everyRequest(metadata: Metadata): Promise<void> {
  const { orgs, keys, agents, sessions, answers, deletions, catalog } = metadata;
  await orgs.create(org('acme'));
  await orgs.find('acme');
  await keys.create(key('org_acme', 'k', { permissions: ['admin'] }), 'd');
  await keys.findByDigest('d');
  await keys.list('org_acme');
  await keys.revoke('org_acme', 'key_k', NOON);
  await keys.touch([{ id: 'key_k', usedUs: NOON }]);
  await agents.create(agent('org_acme', 'crawler'), answer('org_acme', 'k'));
  await agents.find('org_acme', 'crawler');
  await agents.list('org_acme', 10);
  await agents.delete('org_acme', 'agent_crawler');
  await sessions.create(session('org_acme', 's1'));
  await sessions.replace(session('org_acme', 's1', { status: 'closed' }), NOON);
  for (const agentId of [undefined, 'crawler']) {
    for (const status of [undefined, 'active', 'closed'] as const) {
      await sessions.list('org_acme', { agentId, status }, 10, { createdUs: NOON, id: 's1' });
    }
  }
  await sessions.count('org_acme', 'crawler');
  await answers.find('org_acme', 'memories', 'k', 0);
  await answers.sweep(NOON);
  await deletions.find('org_acme', 'era_1');
  await deletions.active();
  await catalog.stage('par_1', [span('org_acme')]);
  await catalog.commitFlush({
    stream: 'log',
    from: 0,
    to: 1,
    partitions: [partition('par_1')],
    dedupRun: null,
  });
  const window = { orgId: 'org_acme', sinceUs: NOON, untilUs: NOON + 1 };
  await catalog.locate(window);
  await catalog.locate({ ...window, agentIds: ['crawler'] });
  await catalog.locate({ ...window, sessionId: 's1' });
  await catalog.locate({ ...window, sessionId: 's1', agentIds: ['crawler'] });
  await catalog.replace(['par_1'], []);
}

/** Nulls for the parameters of a statement: its plan does not depend on them. */
function unbound(sql: string): Values {
  const names = [...sql.matchAll(/@(\w+)/g)].map((match) => [match[1], null]);
  if (names.length > 0) return [Object.fromEntries(names)];
  return [...sql.matchAll(/\?/g)].map(() => null);
}

test('no request walks over a table that grows', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'metadata-plans-'));
  const path = join(dir, 'memtrace.db');
  const statements = new Set<string>();
  const onSlow = ({ sql }: { sql: string }) => statements.add(sql);
  const metadata = await openSqliteMetadata({ path, slowMs: 0, onSlow });
  try {
    await everyRequest(metadata);
  } finally {
    await metadata.close();
  }
  const db = new Database(path);
  const queries = [...statements].filter((sql) => /^\s*(SELECT|UPDATE|DELETE|INSERT)/.test(sql));
  const walks = queries.flatMap((sql) => {
    const plan = db.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...unbound(sql));
    return plan.filter((row) => LARGE.test(row.detail)).map((row) => `${row.detail}: ${sql}`);
  });
  db.close();
  rmSync(dir, { recursive: true });
  expect(queries.length).toBeGreaterThan(40);
  expect(walks).toEqual([]);
});
