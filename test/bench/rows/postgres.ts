import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tempDir } from '../../support/server.js';
import { type Row, settled } from '../harness/bench.js';
import { atLeast, ms, perSecond } from '../harness/figures.js';
import { writeLoad } from '../harness/load.js';

const run = promisify(execFile);
const GOAL = 1.5;
const CLIENTS = 64;
const SECONDS = { short: 5, full: 10 };
const PLACES = ['/usr/lib/postgresql/15/bin', '/usr/local/bin', '/usr/bin'];

const SCHEMA = `
CREATE TABLE events (
  time timestamptz NOT NULL, id text PRIMARY KEY, org_id text NOT NULL, agent_id text NOT NULL,
  session_id text NOT NULL, memory_type text NOT NULL, event_type text NOT NULL,
  content text NOT NULL, metadata_json text NOT NULL, tags_csv text NOT NULL,
  dedup_key text NOT NULL, importance double precision NOT NULL, parent_id text NOT NULL,
  ingested_at timestamptz NOT NULL, expires_at timestamptz);
CREATE INDEX ON events (org_id, session_id, time);
`;

const INSERT = `
\\set n random(1, 1000000000000)
\\set s random(1, 64)
INSERT INTO events VALUES (now(), 'mem_' || gen_random_uuid(), 'org_default', 'agent-' || :s,
  's-' || :s, 'episodic', 'step', 'Crawled the product page and extracted the price table, ' ||
  '库存和三条评论，下一页已加入队列，等待调度器分配新的会话 #' || :n, '{"step":1}', 'bench',
  md5(:n::text), 0.5, '', now(), NULL);
`;

/** Durable inserts of PostgreSQL with its default settings into one table of the same shape. */
export const postgresRow: Row = {
  name: 'postgres',
  run: async (bench) => {
    const bin = PLACES.find((place) => existsSync(join(place, 'initdb')));
    const name = `single writes against PostgreSQL inserts, ${CLIENTS} clients`;
    if (bin === undefined) return [{ name, figure: 'skipped: PostgreSQL 15 is not installed' }];
    const cluster = new Cluster(bin);
    try {
      await cluster.start();
      const seconds = bench.scale.short ? SECONDS.short : SECONDS.full;
      const theirs = await cluster.bench(seconds);
      const { url, key } = await bench.writeServer();
      await settled({ url, key });
      const ours = await writeLoad({ url, key, connections: CLIENTS, seconds });
      const rate = ours.eventsPerSecond;
      return [
        {
          name,
          figure: `${perSecond(rate)}, p99 ${ms(ours.p99)} ms`,
          ceiling: `${perSecond(theirs.rate)}, mean ${ms(theirs.meanMs)} ms`,
          ...atLeast(rate / theirs.rate, GOAL),
        },
      ];
    } finally {
      await cluster.stop();
    }
  },
};

/** A throw-away cluster that listens on a socket file only. PostgreSQL refuses to run as root. */
class Cluster {
  private readonly bin: string;
  private readonly dir = tempDir('memtrace-pg-');
  private readonly asOther = process.getuid?.() === 0;

  constructor(bin: string) {
    this.bin = bin;
  }

  async start(): Promise<void> {
    chmodSync(this.dir, 0o755);
    mkdirSync(join(this.dir, 'own'));
    if (this.asOther) spawnSync('chown', ['postgres', join(this.dir, 'own')]);
    await this.tool('initdb', ['-D', this.data, '-A', 'trust', '-U', 'bench']);
    const options = `-k ${this.dir}/own -c listen_addresses=`;
    const log = join(this.dir, 'own', 'log');
    await this.tool('pg_ctl', ['-D', this.data, '-w', '-l', log, '-o', options, 'start']);
    await this.tool('psql', [...this.login, '-q', '-c', SCHEMA, 'postgres']);
  }

  async bench(seconds: number): Promise<{ rate: number; meanMs: number }> {
    const script = join(this.dir, 'insert.sql');
    writeFileSync(script, INSERT);
    const load = ['-n', '-M', 'prepared', '-c', String(CLIENTS), '-j', '2', '-T', String(seconds)];
    const out = await this.tool('pgbench', [...this.login, ...load, '-f', script, 'postgres']);
    const rate = Number(/tps = ([\d.]+)/.exec(out)?.[1]);
    const meanMs = Number(/latency average = ([\d.]+) ms/.exec(out)?.[1]);
    if (Number.isNaN(rate)) throw new Error(`pgbench gave no rate:\n${out}`);
    return { rate, meanMs };
  }

  async stop(): Promise<void> {
    await this.tool('pg_ctl', ['-D', this.data, '-m', 'immediate', 'stop']).catch(() => {});
    rmSync(this.dir, { recursive: true, force: true });
  }

  private get data(): string {
    return join(this.dir, 'own', 'data');
  }

  private get login(): string[] {
    return ['-h', join(this.dir, 'own'), '-U', 'bench'];
  }

  private async tool(name: string, args: readonly string[]): Promise<string> {
    const path = [this.bin, ...PLACES].map((place) => join(place, name)).find(existsSync) ?? name;
    const command = this.asOther ? ['runuser', '-u', 'postgres', '--', path] : [path];
    const [program = path, ...rest] = [...command, ...args];
    const { stdout } = await run(program, rest, { cwd: '/' });
    return stdout;
  }
}
