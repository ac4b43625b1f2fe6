import { expect, test } from 'vitest';
import { freePort, startServer, tempDir } from '../support/server.js';
import { call, connect, KINDS } from './connect.js';

/** One client, one handshake, and servers that come and go beneath it. */
test.each(KINDS)('over %s a client outlives its server', async (kind) => {
  const place = { dataDir: tempDir(), port: await freePort() };
  const first = await startServer(place);
  const mcp = await connect(kind, first.url, first.key);
  const remember = (content: string) => call(mcp, 'remember', { agent_id: 'a', content });
  expect((await remember('before')).failed).toBe(false);
  await first.stop();

  const second = await startServer(place);
  expect((await remember('between')).failed).toBe(false);
  await second.kill9();

  const third = await startServer(place);
  const { value } = await call(mcp, 'recall', { agent_id: 'a' });
  const contents = (value.memories as { content: string }[]).map(({ content }) => content);
  expect(contents).toEqual(['between', 'before']);
  expect((await mcp.listTools()).tools).toHaveLength(8);
  await mcp.close();
  await third.stop();
});

test('over stdio a call waits for a server that is away, and is made once', async () => {
  const place = { dataDir: tempDir(), port: await freePort() };
  const first = await startServer(place);
  const mcp = await connect('stdio', first.url, first.key);
  await first.kill9();
  expect((await mcp.listTools()).tools).toHaveLength(8);
  const pending = call(mcp, 'remember', { agent_id: 'a', content: 'patient' });
  const second = await startServer(place);
  expect((await pending).failed).toBe(false);
  expect((await call(mcp, 'search', { agent_id: 'a' })).value.count).toBe(1);
  await mcp.close();
  await second.stop();
});
