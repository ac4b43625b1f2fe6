import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTES } from '../../internal/api/app.js';
import { api, type Json } from '../support/api.js';
import { createOrg } from '../support/cli.js';
import { startServer, type TestServer } from '../support/server.js';

/** Drives every route of the table with every kind of key. */
let server: TestServer;
const secrets: Record<string, string> = {};
let other = '';
const ids: Record<string, string> = {};

beforeAll(async () => {
  server = await startServer();
  const admin = api(server);
  for (const permission of ['read', 'write', 'admin']) {
    const made = await admin.post('/keys', { name: permission, permissions: [permission] });
    secrets[permission] = String(made.body['key']);
  }
  const revoked = await admin.post('/keys', { name: 'revoked', permissions: ['admin'] });
  secrets['revoked'] = String(revoked.body['key']);
  expect((await admin.del(`/keys/${revoked.body['id']}`)).status).toBe(204);
  const soon = new Date(Date.now() + 300).toISOString();
  const expiring = await admin.post('/keys', {
    name: 'x',
    permissions: ['admin'],
    expires_at: soon,
  });
  secrets['expired'] = String(expiring.body['key']);

  other = (await createOrg(server.dataDir, 'other')).key;
  await makeObjects(admin);
  await new Promise((resolve) => setTimeout(resolve, 400));
});

afterAll(() => server.stop());

async function makeObjects(admin: ReturnType<typeof api>): Promise<void> {
  const memory = await admin.post('/memories', { agent_id: 'crawler', content: 'secret of A' });
  ids['memories'] = String(memory.body['id']);
  ids['agents'] = String((await admin.post('/agents', { name: 'crawler' })).body['id']);
  ids['sessions'] = String((await admin.post('/sessions', { agent_id: 'crawler' })).body['id']);
  const key = await admin.post('/keys', { name: 'victim', permissions: ['read'] });
  ids['keys'] = String(key.body['id']);
  const doomed = await admin.post('/memories', { agent_id: 'crawler', content: 'doomed' });
  const erased = await admin.del(`/memories/${doomed.body['id']}`);
  ids['erasures'] = erased.headers.get('x-erasure-id') ?? '';
}

function call(method: string, path: string, key: string | null): Promise<Response> {
  const concrete = path.replace(
    /^\/api\/v1\/(\w+)\/:id/,
    (_, kind) => `/api/v1/${kind}/${ids[kind]}`,
  );
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (key !== null) headers['x-api-key'] = key;
  const body = method === 'POST' || method === 'PUT' ? '{}' : undefined;
  return fetch(`${server.url}${concrete}`, { method, headers, body });
}

test.each(ROUTES.map(([method, path, policy]) => ({ method, path, policy })))(
  '$method $path needs $policy',
  async ({ method, path, policy }) => {
    const missing = await call(method, path, null);
    expect(missing.status).toBe(401);
    expect(await missing.json()).toMatchObject({ error: 'missing API key' });
    for (const bad of [
      `mtk_${'x'.repeat(43)}`,
      secrets['revoked'],
      secrets['expired'],
      'nonsense',
    ]) {
      const refused = await call(method, path, bad);
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({ error: 'invalid API key' });
    }
    for (const permission of ['read', 'write']) {
      if (policy === 'any' || policy === permission) continue;
      const refused = await call(method, path, secrets[permission]);
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ code: 'permission_denied' });
    }
  },
);

test.each(ROUTES.map(([method, path]) => ({ method, path })))(
  '$method $path shows nothing of another organization',
  async ({ method, path }) => {
    const response = await call(method, path, other);
    const text = await response.text();
    expect(text).not.toContain('secret of A');
    // These two answer for any literal id, with nothing in it.
    if (!/stats$|context$/.test(path)) {
      for (const id of Object.values(ids)) expect(text).not.toContain(id);
    }
    const byId = /:id$/.test(path);
    if (byId) expect(response.status).toBe(404);
  },
);

test('what the other organization tried changed nothing', async () => {
  const admin = api(server);
  for (const kind of ['memories', 'agents', 'sessions']) {
    expect((await admin.get(`/${kind}/${ids[kind]}`)).status).toBe(200);
  }
  const { body } = await admin.get<{ keys: Json[] }>('/keys');
  expect(body.keys.find(({ id }) => id === ids['keys'])).not.toHaveProperty('revoked_at');
});

test('admin implies the others, and every key sees itself', async () => {
  const admin = api(server, secrets['admin']);
  expect((await admin.get('/memories')).status).toBe(200);
  expect((await admin.post('/memories', { agent_id: 'a', content: 'b' })).status).toBe(201);
  for (const permission of ['read', 'write', 'admin']) {
    const self = await api(server, secrets[permission]).get('/keys/self');
    expect(self.body).toMatchObject({ name: permission, permissions: [permission] });
    expect(self.body).not.toHaveProperty('key');
  }
});

test('what operators ask needs no key and names nobody', async () => {
  for (const path of ['/health', '/ready', '/metrics']) {
    const response = await fetch(`${server.url}${path}`);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).not.toMatch(/org_|mtk_|crawler/);
    expect(text).not.toContain(server.dataDir);
  }
});
