/**
 * What every runtime must be able to do, with nothing but what the package and the web offer.
 * Throws at the first thing that is not so.
 *
 * @param {{ Memtrace: any, ConflictError: any }} sdk the built package
 * @param {{ baseUrl: string, apiKey: string, agent: string }} settings
 */
export async function smoke({ Memtrace, ConflictError }, { baseUrl, apiKey, agent }) {
  const client = new Memtrace({ baseUrl, apiKey });

  await client.remember(agent, 'one');
  await rejects(client.remember(agent, 'one'), (error) => error instanceof ConflictError);
  async function* lines() {
    for (let i = 0; i < 3_000; i += 1) yield { agent_id: agent, content: `line ${i}` };
  }
  equal((await client.memories.upload(lines())).accepted, 3_000);
  const batcher = client.batcher({ maxItems: 100 });
  for (let i = 0; i < 1_000; i += 1) await batcher.add({ agent_id: agent, content: `event ${i}` });
  await batcher.close();
  let exported = 0;
  for await (const _ of client.memories.export({ agent_id: agent })) exported += 1;
  equal(exported, 4_001);
  equal((await client.memories.list({ agent_id: agent, limit: 500 }).toArray()).length, 4_001);
  const session = await client.startSession(agent);
  await session.remember('in a session: 会议');
  const { context } = await session.context({ maxTokens: 200 });
  equal(context.includes('in a session: 会议'), true);
  const stopped = client.memories.list({}, { signal: AbortSignal.abort(new Error('stop')) });
  await rejects(Promise.resolve(stopped), (error) => /stop/.test(String(error)));
}

function equal(actual, expected) {
  if (actual !== expected) throw new Error(`${actual} instead of ${expected}`);
}

async function rejects(promise, judge) {
  const outcome = await promise.then(
    () => 'resolved',
    (error) => (judge(error) ? 'as it should' : `rejected with ${error}`),
  );
  equal(outcome, 'as it should');
}
