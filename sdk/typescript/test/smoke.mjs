// What every runtime must be able to do, with the built package. Arguments: URL and API key.
import assert from 'node:assert/strict';
import process from 'node:process';
import { ConflictError, Memtrace } from '../dist/esm/index.js';

const [baseUrl, apiKey, agent] = process.argv.slice(2);
const client = new Memtrace({ baseUrl, apiKey });

await client.remember(agent, 'one');
await assert.rejects(client.remember(agent, 'one'), ConflictError);
async function* lines() {
  for (let i = 0; i < 3_000; i += 1) yield { agent_id: agent, content: `line ${i}` };
}
assert.equal((await client.memories.upload(lines())).accepted, 3_000);
const batcher = client.batcher({ maxItems: 100 });
for (let i = 0; i < 1_000; i += 1) await batcher.add({ agent_id: agent, content: `event ${i}` });
await batcher.close();
let exported = 0;
for await (const _ of client.memories.export({ agent_id: agent })) exported += 1;
assert.equal(exported, 4_001);
assert.equal((await client.memories.list({ agent_id: agent, limit: 500 }).toArray()).length, 4_001);
const session = await client.startSession(agent);
await session.remember('in a session');
assert.match((await session.context({ maxTokens: 200 })).context, /in a session/);
const slow = client.memories.list({}, { signal: AbortSignal.abort(new Error('stop')) });
await assert.rejects(Promise.resolve(slow), /stop/);
console.log('ok');
