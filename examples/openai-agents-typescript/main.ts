// An agent of the OpenAI Agents SDK whose conversation outlives the process. The model is scripted:
// put a real one in its place and set its key.
import { Memtrace } from '@memtrace/sdk';
import { MemtraceSession, memtraceTools, RunRecorder } from '@memtrace/sdk/openai-agents';
import { Agent, Runner, setTracingDisabled } from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';

setTracingDisabled(true);
const agentId = 'Crawler';
const sessionId = 'openai_agents_example';
const client = new Memtrace();
const session = new MemtraceSession(client, { agentId, sessionId });

const history = await session.getItems();
console.log(`Remembered from earlier runs: ${history.length} items`);
for (const item of history) if ('role' in item) console.log(`  ${item.role}: ${textOf(item)}`);

const page = history.length === 0 ? '/teapots' : '/cups';
const model = new ScriptedModel([
  [functionCall('memtrace_remember', { content: `Crawled ${page}` }, { callId: `call_${page}` })],
  [assistantMessage(`I crawled ${page} and remembered it.`)],
]);
const agent = new Agent({
  name: 'Crawler',
  instructions: 'Crawl one page a run.',
  model,
  tools: memtraceTools(client, { agentId, sessionId }),
});
const recorder = new RunRecorder(client, new Runner(), { agentId, sessionId });
const result = await recorder.run(agent, `Crawl ${page}`, { session });
await recorder.close();
console.log(`Answer: ${result.finalOutput}`);

function textOf(item: { content?: unknown }): string {
  if (typeof item.content === 'string') return item.content;
  return (item.content as { text?: string }[]).map((part) => part.text ?? '').join(' ');
}
