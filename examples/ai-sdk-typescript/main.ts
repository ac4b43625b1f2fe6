// A model of the AI SDK that knows what was said in earlier runs. It is scripted: put a real one in
// its place and set its key.
import { Memtrace } from '@memtrace/sdk';
import { memtraceMiddleware } from '@memtrace/sdk/ai-sdk';
import { generateText, wrapLanguageModel } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';

const client = new Memtrace();
const scripted = new MockLanguageModelV3({
  doGenerate: async ({ prompt }) => {
    const told = prompt.flatMap((m) => (m.role === 'system' ? m.content.split('\n') : []));
    const memories = told.filter((line) => line.startsWith('- ['));
    const text = `I was told of ${memories.length} memories. Now I know the cups, too.`;
    for (const line of memories) console.log(`  ${line}`);
    return {
      content: [{ type: 'text', text }],
      finishReason: { unified: 'stop', raw: undefined },
      usage: {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      },
      warnings: [],
    };
  },
});
const model = wrapLanguageModel({
  model: scripted,
  middleware: memtraceMiddleware(client, { agentId: 'crawler', sessionId: 'ai_sdk_example' }),
});

console.log('Remembered from earlier runs:');
const { text } = await generateText({ model, prompt: 'Crawl /cups' });
console.log(`Answer: ${text}`);
