import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type TestServer } from '../support/server.js';

// The client that existing users have: it decides whether the wire contract is kept.
const PACKAGE = 'memtrace-sdk==0.2.0';
const VENV = fileURLToPath(new URL('../../node_modules/.cache/pyclient', import.meta.url));
const PYTHON = `${VENV}/bin/python`;
const SCRIPT = fileURLToPath(new URL('drive.py', import.meta.url));
const INSTALL_TIMEOUT_MS = 180_000;

const run = promisify(execFile);
const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython)
  console.warn('skipped: the Python client test needs python3 (3.10 or newer) on PATH');

type Row = Record<string, unknown>;
interface List {
  count: number;
  has_more: boolean;
  memories: Row[];
}
interface Raised {
  type: string;
  status: number;
  message: string;
}

describe.skipIf(!hasPython)(`the Python client ${PACKAGE}`, () => {
  let server: TestServer;
  let result: Record<string, Record<string, unknown>> & { version: string; methods: string[] };

  beforeAll(async () => {
    await install();
    server = await startServer();
    const { stdout } = await run(PYTHON, [SCRIPT, server.url, server.key]);
    result = JSON.parse(stdout);
  }, INSTALL_TIMEOUT_MS);

  afterAll(async () => {
    await server?.stop();
  });

  const of = <T = Row>(mode: string, name: string): T => result[mode]?.[name] as T;

  it('is driven through every public method', () => {
    const called = Object.keys(result['sync'] ?? {});
    expect(result.methods.filter((method) => !called.includes(method))).toEqual([]);
    expect(result.version).toBe('0.2.0');
  });

  describe.each(['sync', 'async'])('%s', (mode) => {
    const agent = `py-${mode}`;

    it('writes memories and gets them back as sent', () => {
      expect(of(mode, 'remember')).toMatchObject({
        agent_id: agent,
        memory_type: 'episodic',
        event_type: 'general',
        content: 'User prefers dark mode 深色模式',
      });
      expect(of(mode, 'decide')).toMatchObject({
        memory_type: 'decision',
        event_type: 'decision',
        metadata: { reasoning: 'only 2 pages' },
      });
      expect(of(mode, 'add_memory')).toMatchObject({
        session_id: 'sess-full',
        metadata: { n: 1.5, list: [1, null, 'ä'], deep: { a: true } },
        tags: ['x', 'y.z'],
        dedup_key: `own-${agent}`,
        importance: 0.75,
        parent_id: 'mem_parent',
      });
      expect(of<Row[]>(mode, 'add_memories').map((m) => m['content'])).toEqual(
        [0, 1, 2, 3, 4].map((n) => `batch item ${n}`),
      );
      expect(of(mode, 'add_memories_again')).toEqual([]);
    });

    it('raises its own exceptions', () => {
      const raised = (name: string) => of<Raised>(mode, name);
      const duplicate = { type: 'ConflictError', status: 409, message: 'duplicate memory' };
      expect(raised('duplicate')).toEqual(duplicate);
      expect(raised('bad_agent_id')).toMatchObject({ type: 'MemtraceError', status: 400 });
      expect(raised('bad_since')).toMatchObject({ type: 'MemtraceError', status: 400 });
      expect(raised('register_twice')).toMatchObject({ type: 'ConflictError' });
      expect(raised('get_deleted_agent')).toMatchObject({ type: 'NotFoundError' });
      expect(raised('delete_agent_again')).toMatchObject({ type: 'NotFoundError' });
      expect(raised('get_unknown_session')).toMatchObject({ type: 'NotFoundError' });
      const wrongKey = { type: 'AuthenticationError', status: 401, message: 'invalid API key' };
      expect(raised('wrong_key')).toEqual(wrongKey);
    });

    it('lists and searches', () => {
      expect(of<List>(mode, 'recall')).toMatchObject({ count: 8, has_more: false });
      const page = of<List>(mode, 'list_memories');
      expect(page.memories.map((m) => m['content'])).toEqual(['batch item 0', 'batch item 1']);
      expect(page).toMatchObject({ count: 2, has_more: true });
      expect(of<List>(mode, 'list_tagged').count).toBe(1);
      const search = of<{ results: Row[]; count: number; query_time_ms: number }>(
        mode,
        'search_memories',
      );
      expect(search.results.map((m) => m['content'])).toEqual(
        [0, 1, 2, 3, 4].map((n) => `batch item ${n}`),
      );
      expect(search.query_time_ms).toBeGreaterThanOrEqual(0);
      expect(of<List>(mode, 'search_tagged').count).toBe(1);
    });

    it('registers, reads and deletes agents', () => {
      const registered = of(mode, 'register_agent');
      expect(registered).toMatchObject({ name: agent, config: { depth: 2 } });
      expect(registered['id']).toMatch(/^agent_/);
      expect(of(mode, 'get_agent')).toMatchObject({ id: registered['id'], name: agent });
      expect(of(mode, 'get_agent_by_name')).toEqual(of(mode, 'get_agent'));
      expect(of(mode, 'list_agents')).toMatchObject({ agents: [{ id: registered['id'] }] });
      expect(of(mode, 'get_agent_stats')).toMatchObject({
        agent_id: agent,
        memory_count: 8,
        memories_24h: 8,
        errors_24h: 1,
        session_count: 0,
        active_sessions: 0,
        memory_types: { episodic: 6, decision: 1, entity: 1 },
      });
      expect(of(mode, 'stats_of_nobody')).toMatchObject({ memory_count: 0, memory_types: {} });
      expect(of<List>(mode, 'get_agent_memories').count).toBe(8);
      expect(of<List>(mode, 'get_agent_memories_filtered').count).toBe(1);
    });

    it('opens, reads and closes sessions', () => {
      const created = of(mode, 'create_session');
      const metadata = { goal: 'crawl', n: 1 };
      expect(created).toMatchObject({ agent_id: agent, status: 'active', metadata });
      expect(of(mode, 'get_session')).toMatchObject({ id: created['id'], status: 'active' });
      expect(of(mode, 'empty_context')).toMatchObject({ memory_count: 0 });
      const context = of(mode, 'get_session_context');
      expect(context).toMatchObject({ session_id: created['id'], memory_count: 3 });
      expect(String(context['context']).split('\n')[0]).toContain('## Session Context (');
      expect(of(mode, 'get_session_context_filtered')).toMatchObject({ memory_count: 1 });
      expect(of<List>(mode, 'get_session_memories').count).toBe(3);
      expect(of<List>(mode, 'get_session_memories_filtered').count).toBe(1);
      expect(of(mode, 'list_sessions_of_agent')).toMatchObject({ count: 1 });
      expect(of(mode, 'close_session')).toMatchObject({ status: 'closed' });
      expect(of(mode, 'close_session')['closed_at']).toBeTypeOf('string');
      expect(of(mode, 'close_session_again')).toMatchObject({ status: 'closed' });
    });
  });
});

/** Installs once; later runs find the package in the cache and need no network. */
async function install(): Promise<void> {
  if (!existsSync(PYTHON)) await run('python3', ['-m', 'venv', VENV]);
  const present = await run(PYTHON, ['-m', 'pip', 'show', 'memtrace-sdk']).catch(() => undefined);
  if (present?.stdout.includes('Version: 0.2.0')) return;
  await run(PYTHON, ['-m', 'pip', 'install', '--quiet', PACKAGE]);
}
