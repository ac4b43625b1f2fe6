import autocannon from 'autocannon';
import { benchEvent } from './events.js';

// usage: fallback.ts <connections> <seconds> <url> <label> <key> <batch>; prints what wrk's script
// does
const [connections, seconds, url = '', label = '', key = '', batch] = process.argv.slice(2);
const size = Number(batch);
let counter = 0;

function body(): string {
  const events = Array.from({ length: size }, () => benchEvent(label, counter++));
  return JSON.stringify(size === 1 ? events[0] : { memories: events });
}

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(seconds),
  method: 'POST',
  headers: { 'x-api-key': key, 'content-type': 'application/json' },
  requests: [{ setupRequest: (request) => ({ ...request, body: body() }) }],
});
const line = {
  requests: result.requests.total,
  seconds: result.duration,
  p50: result.latency.p50,
  p99: result.latency.p99,
  bad: result.non2xx,
  broken: result.errors,
};
console.log(`RESULT ${JSON.stringify(line)}`);
