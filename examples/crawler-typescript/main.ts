// A crawler that goes on where it stopped: two pages a run, what it saw and decided is in memtrace.
import { Memtrace } from '@memtrace/sdk';

const AGENT = 'crawler';
const PAGES_A_RUN = 2;
/** Stands for a web site. */
const SITE: Record<string, string> = {
  '/': 'Welcome to the shop',
  '/teapots': '12 teapots, from 18 to 90 euros',
  '/cups': '30 cups, two of them blue',
  '/about': 'Open from nine to six',
};

// MEMTRACE_URL and MEMTRACE_API_KEY of the environment say where and who.
const client = new Memtrace();

const before = await client
  .recall(AGENT, { since: '30d', event_type: 'page_crawled', order: 'asc' })
  .toArray();
console.log(before.length === 0 ? 'Nothing remembered yet.' : 'Remembered from earlier runs:');
for (const memory of before) console.log(`  ${memory.content}`);

const seen = new Set(before.map((memory) => memory.metadata?.['path']));
const next = Object.entries(SITE)
  .filter(([path]) => !seen.has(path))
  .slice(0, PAGES_A_RUN);

const session = await client.startSession(AGENT, { run: new Date().toISOString() });
const batcher = client.batcher();
for (const [path, text] of next) {
  console.log(`Crawling ${path}`);
  await batcher.add({
    agent_id: AGENT,
    session_id: session.id,
    event_type: 'page_crawled',
    content: `${path}: ${text}`,
    metadata: { path },
  });
}
await batcher.close();

if (next.length === 0) await session.decide('stop', 'every page of the site is known');
else await session.decide('go on next time', `at most ${PAGES_A_RUN} pages a run`);
await session.close();

const { context } = await session.context({ maxTokens: 300 });
console.log(`What a model would be told of this run:\n${context}`);
