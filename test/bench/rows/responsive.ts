import { metric, type Row, settled } from '../harness/bench.js';
import { BenchClient, whileTrue } from '../harness/client.js';
import { atMost, latency, ms, perSecond, quantile } from '../harness/figures.js';
import { writeLoad } from '../harness/load.js';

const GOAL_MS = 50;
const PAUSE_MS = 5;

/** The event loop under large bodies: others must not wait for them. */
export const responsiveRow: Row = {
  name: 'health',
  run: async (bench) => {
    const server = await bench.writeServer();
    await settled(server);
    const client = new BenchClient(server);
    let going = true;
    const load = writeLoad({
      url: server.url,
      key: server.key,
      connections: 8,
      seconds: bench.scale.seconds * 2,
      batch: 1_000,
    }).finally(() => {
      going = false;
    });
    // The metric tells the lag since the last look: this look ends the start.
    await client.get('/metrics');
    const waits = await whileTrue(
      () => going,
      () => client.get('/health'),
      PAUSE_MS,
    );
    const { eventsPerSecond, bad } = await load;
    const { text } = await client.get('/metrics');
    client.close();
    const p99 = quantile(waits, 0.99);
    const lag = metric(text, 'memtrace_event_loop_lag_seconds{quantile="1"}') * 1_000;
    return [
      {
        name: 'GET /health beside 8 clients with batches of 1,000',
        figure: `${latency(waits)}, max ${ms(Math.max(...waits))}`,
        ceiling: `${perSecond(eventsPerSecond)} written, ${bad} refused`,
        ...atMost(p99, GOAL_MS, 'ms'),
      },
      {
        name: '  longest step of the event loop, in /metrics',
        figure: Number.isNaN(lag) ? 'no metric' : `${ms(lag)} ms`,
        ...atMost(lag, GOAL_MS, 'ms'),
      },
    ];
  },
};
