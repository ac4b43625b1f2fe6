import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Row, settled, type Target } from '../harness/bench.js';
import { ms, perSecond } from '../harness/figures.js';
import { type LoadResult, writeLoad } from '../harness/load.js';

const IDLE = 5_000;
const AT_ONCE = 200;
const GOAL = 0.9;

/** Thousands of agents that keep a connection open must not slow those that use theirs. */
export const connectionsRow: Row = {
  name: 'idleconnections',
  run: async (bench) => {
    const server = await bench.writeServer();
    await settled(server);
    const load = () =>
      writeLoad({ ...targetOf(server), connections: 64, seconds: bench.scale.seconds });
    const alone = await load();
    const sockets = await openIdle(server.port);
    await settled(server);
    const beside = await load();
    const open = sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open');
    for (const socket of sockets) socket.destroy();
    const ratio = beside.eventsPerSecond / alone.eventsPerSecond;
    return [
      {
        name: `64 busy connections beside ${IDLE} idle ones`,
        figure: `${describe(beside)}; ${open.length} still open`,
        ceiling: `alone ${describe(alone)}`,
        ratio,
        goal: `ratio >= ${GOAL}`,
        ok: ratio >= GOAL && beside.broken === 0,
      },
    ];
  },
};

function targetOf(server: Target): Target {
  return { url: server.url, key: server.key };
}

function describe(result: LoadResult): string {
  return `${perSecond(result.eventsPerSecond)}, p99 ${ms(result.p99)} ms`;
}

async function openIdle(port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < IDLE) {
    const some = Array.from({ length: AT_ONCE }, () => oneIdle(port));
    sockets.push(...(await Promise.all(some)));
  }
  await sleep(100);
  return sockets;
}

/** A connection that has made one request and keeps quiet. */
function oneIdle(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    });
    socket.once('error', reject);
    socket.once('data', () => {
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      socket.on('data', () => {});
      resolve(socket);
    });
  });
}
