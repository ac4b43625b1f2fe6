import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, PROGRAM, startServer, type TestServer, tempDir } from '../support/server.js';
import { answers, eventually, type Running, start } from './processes.js';
import { missing, ROOT, tool } from './tools.js';

/**
 * The monitoring of one box with the real programs: its own configuration, with other addresses
 * and shorter intervals, and nothing else changed.
 */
const prometheus = tool('prometheus');
const alertmanager = tool('prometheus-alertmanager', 'alertmanager');
const nodeExporter = tool('prometheus-node-exporter', 'node_exporter');
const blackbox = tool('prometheus-blackbox-exporter', 'blackbox_exporter');

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

/** Nothing here can be scraped for them: they need a cluster. */
const NEEDS_KUBERNETES = /kube_|kubelet_|container_/;
/** Of the others, what is rightly empty as long as nothing is wrong. */
const NEEDS_A_FAULT = new Set<string>();

const needed = [prometheus, alertmanager, nodeExporter, blackbox];
describe.skipIf(missing('Prometheus, Alertmanager or an exporter', ...needed))('one box', () => {
  const folder = tempDir('memtrace-stack-');
  const running: Running[] = [];
  const ports = { prometheus: 0, alertmanager: 0, node: 0, blackbox: 0, bridge: 0 };
  const robot = startRobot();
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      env: {
        MEMTRACE_BUFFER_MAX_AGE: '2s',
        MEMTRACE_BACKUP_TARGET: tempDir('memtrace-stack-backup-'),
        MEMTRACE_BACKUP_WAL_EVERY: '1s',
      },
    });
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    const local = (port: number) => `127.0.0.1:${port}`;
    await launch(String(nodeExporter), [`--web.listen-address=${local(ports.node)}`], '/metrics');
    const modules = join(ROOT, 'deploy/prometheus/blackbox.yml');
    const blackboxArgs = [`--web.listen-address=${local(ports.blackbox)}`];
    await launch(String(blackbox), [`--config.file=${modules}`, ...blackboxArgs], '/-/healthy');
    await startBridge();
    await startAlertmanager(local);
    await startPrometheus(local);
  }, 60_000);

  afterAll(async () => {
    for (const one of running.reverse()) await one.stop();
    await server?.stop();
    await robot.close();
  });

  async function launch(program: string, args: string[], path: string): Promise<Running> {
    const one = start(program, args, { cwd: folder });
    running.push(one);
    const address = /127\.0\.0\.1:\d+/.exec(args.at(-1) ?? '')?.[0];
    await answers(`http://${address}${path}`, one);
    return one;
  }

  async function startBridge(): Promise<void> {
    const program = PROGRAM.replace('cmd/memtrace/main.js', 'cmd/alert-bridge/main.js');
    const env = {
      ALERT_BRIDGE_PORT: String(ports.bridge),
      ALERT_BRIDGE_TIMEZONE: 'Asia/Shanghai',
      ALERT_BRIDGE_RUNBOOKS: 'https://docs.example.com',
      DINGTALK_WEBHOOK: await robot.url(),
      DINGTALK_SECRET: robot.secret,
      DINGTALK_MOBILES: '13800000000',
    };
    const bridge = start(process.execPath, [program], { env });
    running.push(bridge);
    await answers(`http://127.0.0.1:${ports.bridge}/health`, bridge);
  }

  async function startAlertmanager(local: (port: number) => string): Promise<void> {
    const yaml = readFileSync(join(ROOT, 'deploy/alertmanager/alertmanager.yml'), 'utf8')
      .replace('alert-bridge:9095', local(ports.bridge))
      .replace(/group_wait: \d+s/g, 'group_wait: 1s')
      .replace('group_interval: 5m', 'group_interval: 1s');
    // One receiver more, for English.
    const both = yaml.replace(
      /( +)- url: (http:.*)\/dingtalk\/zh\n/,
      '$&$1  send_resolved: true\n$1- url: $2/dingtalk/en\n',
    );
    const config = join(folder, 'alertmanager.yml');
    writeFileSync(config, both);
    const args = [
      `--config.file=${config}`,
      `--storage.path=${join(folder, 'am')}`,
      '--cluster.listen-address=',
    ];
    const listen = `--web.listen-address=${local(ports.alertmanager)}`;
    await launch(String(alertmanager), [...args, listen], '/-/healthy');
  }

  async function startPrometheus(local: (port: number) => string): Promise<void> {
    const rules = join(folder, 'rules');
    mkdirSync(rules);
    for (const name of ['memtrace.yml', 'box.yml']) {
      const text = readFileSync(join(ROOT, 'deploy/prometheus/rules', name), 'utf8');
      writeFileSync(join(rules, name), text.replaceAll('interval: 30s', 'interval: 1s'));
    }
    const targets = join(folder, 'tls-targets.json');
    writeFileSync(targets, '[]');
    const yaml = readFileSync(join(ROOT, 'deploy/prometheus/prometheus.yml'), 'utf8')
      .replaceAll('interval: 15s', 'interval: 1s')
      .replaceAll('/etc/prometheus/rules', rules)
      .replace('/etc/prometheus/tls-targets.json', targets)
      .replaceAll('alertmanager:9093', local(ports.alertmanager))
      .replace('node-exporter:9100', local(ports.node))
      .replace('blackbox-exporter:9115', local(ports.blackbox))
      .replaceAll('memtrace:9100', local(server.port))
      .replace('localhost:9090', local(ports.prometheus));
    const config = join(folder, 'prometheus.yml');
    writeFileSync(config, yaml);
    mkdirSync(join(folder, 'tsdb'));
    const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'tsdb')}`];
    const listen = `--web.listen-address=${local(ports.prometheus)}`;
    await launch(String(prometheus), [...args, listen], '/-/ready');
  }

  async function query(expr: string): Promise<{ metric: object; value: [number, string] }[]> {
    const url = new URL(`http://127.0.0.1:${ports.prometheus}/api/v1/query`);
    url.searchParams.set('query', expr);
    const answer = (await (await fetch(url)).json()) as {
      status: string;
      error?: string;
      data: { result: { metric: object; value: [number, string] }[] };
    };
    expect(answer.status, `${expr}: ${answer.error}`).toBe('success');
    return answer.data.result;
  }

  it('scrapes every target', async () => {
    // memtrace, node, prometheus, alertmanager and the probe of /ready
    await eventually(
      async () => ((await query('count(up == 1)'))[0]?.value[1] === '5' ? true : null),
      'five targets up',
    );
    expect((await query('probe_success{job="memtrace-ready"}'))[0].value[1]).toBe('1');
  });

  it('shows something in every panel of the dashboard under load', async () => {
    const expressions = dashboardExpressions(server);
    expect(expressions.length).toBeGreaterThan(40);
    let stop = false;
    const load = generate(server, () => stop);
    let empty: string[] = [];
    try {
      await eventually(
        async () => {
          const results = await Promise.all(expressions.map(({ expr }) => query(expr)));
          empty = expressions.filter((_, i) => isEmpty(results[i])).map(({ title }) => title);
          return empty.length === 0 ? true : null;
        },
        'a value of every expression',
        { timeoutMs: 40_000, everyMs: 1_000 },
      ).catch(() => null);
    } finally {
      stop = true;
      await load;
    }
    expect(empty.filter((title) => !NEEDS_A_FAULT.has(title))).toEqual([]);
  }, 60_000);

  it('has every rule evaluated without an error, and none fires', async () => {
    const url = `http://127.0.0.1:${ports.prometheus}/api/v1/rules`;
    const { data } = (await (await fetch(url)).json()) as {
      data: { groups: { rules: { name: string; health: string; state?: string }[] }[] };
    };
    const rules = data.groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(25);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    // Noise of a busy machine that tests share aside: what the server did must alarm nobody.
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
    expect(firing.filter((name) => name.startsWith('Memtrace'))).toEqual([]);
  });

  it('tells DingTalk what fires and what is over, signed, in Chinese and in English', async () => {
    await alert('firing');
    const fired = await robot.received(2, '告警', 'FIRING');
    expect(fired.zh.body.markdown.title).toContain('告警');
    expect(fired.zh.body.markdown.text).toContain('磁盘将在一天内写满');
    expect(fired.zh.body.markdown.text).toContain(
      'https://docs.example.com/docs/runbooks.zh-CN.md#diskfullin24h',
    );
    expect(fired.en.body.markdown.text).toContain('the disk of box will be full within a day');
    expect(fired.en.body.markdown.text).toContain(
      'https://docs.example.com/docs/runbooks.md#diskfullin24h',
    );
    for (const { body, signed } of [fired.zh, fired.en]) {
      expect(signed).toBe(true);
      expect(body.msgtype).toBe('markdown');
      expect(body.at).toEqual({ atMobiles: ['13800000000'], isAtAll: false });
      expect(body.markdown.text).toContain('@13800000000');
    }
    await alert('resolved');
    const over = await robot.received(2, '已恢复', 'RESOLVED');
    expect(over.zh.body.markdown.text).toContain('结束');
    expect(over.en.body.markdown.text).toContain('Until');
    expect(over.en.body.at.atMobiles).toEqual([]);
  }, 40_000);

  it('tries again when the robot refuses', async () => {
    robot.refuse(3);
    await alert('firing', 'SwapInUse');
    const { zh } = await robot.received(2, 'SwapInUse', 'SwapInUse');
    expect(zh.signed).toBe(true);
    expect(robot.refused()).toBe(3);
  }, 40_000);

  async function alert(state: 'firing' | 'resolved', alertname = 'DiskFullIn24h'): Promise<void> {
    const now = Date.now();
    const body = [
      {
        labels: { alertname, severity: 'warning', job: 'node', instance: 'box' },
        annotations: {
          summary: 'the disk of box will be full within a day',
          summary_zh: 'box 的磁盘将在一天内写满',
          runbook: `docs/runbooks.md#${alertname.toLowerCase()}`,
        },
        startsAt: new Date(now - 60_000).toISOString(),
        endsAt: new Date(now + (state === 'firing' ? 600_000 : -1_000)).toISOString(),
      },
    ];
    const response = await fetch(`http://127.0.0.1:${ports.alertmanager}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
  }
});

function isEmpty(result: { value: [number, string] }[]): boolean {
  return result.length === 0 || result.every(({ value }) => value[1] === 'NaN');
}

function dashboardExpressions(server: TestServer): { title: string; expr: string }[] {
  const text = readFileSync(join(ROOT, 'deploy/grafana/memtrace.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets
      .filter(({ expr }) => !NEEDS_KUBERNETES.test(expr))
      .map(({ expr }) => ({
        title: `${title}: ${expr}`,
        expr: expr
          .replaceAll('$instance', `127.0.0.1:${server.port}`)
          .replaceAll('$__rate_interval', '30s'),
      })),
  );
}

/** A little of everything that clients do, and one mistake. */
async function generate(server: TestServer, stopped: () => boolean): Promise<void> {
  const call = (method: string, path: string, body?: unknown) =>
    fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: { 'x-api-key': server.key, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).then((response) => response.arrayBuffer());
  for (let n = 0; !stopped(); n += 1) {
    const event = { agent_id: 'load', session_id: 'sess_load', content: `event ${n}` };
    await call('POST', '/memories', event);
    await call('POST', '/memories', event);
    await call('GET', '/memories?agent_id=load&limit=5');
    await call('POST', '/search', { content_contains: 'event', limit: 5 });
    await call('POST', '/sessions/sess_load/context', {});
    await call('GET', '/agents/load/stats');
    await sleep(50);
  }
}

interface Received {
  signed: boolean;
  body: {
    msgtype: string;
    markdown: { title: string; text: string };
    at: { atMobiles: string[]; isAtAll: boolean };
  };
}

/** A robot as DingTalk's: it takes what is signed rightly, and refuses with HTTP 200. */
function startRobot() {
  const secret = 'SEC0123456789abcdef';
  const messages: Received[] = [];
  let toRefuse = 0;
  let refused = 0;
  const listener = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? '', 'http://robot');
    response.setHeader('content-type', 'application/json');
    if (toRefuse > 0) {
      toRefuse -= 1;
      refused += 1;
      response.end('{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}');
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Received['body'];
    messages.push({ signed: await signedRightly(url, secret), body });
    response.end('{"errcode":0,"errmsg":"ok"}');
  });
  return {
    secret,
    refuse: (count: number) => {
      toRefuse = count;
    },
    refused: () => refused,
    url: async () => {
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      const { port } = listener.address() as AddressInfo;
      return `http://127.0.0.1:${port}/robot/send?access_token=test`;
    },
    /** Waits for a message in each language with these words in its title. */
    received: async (count: number, zhWord: string, enWord: string) => {
      const isZh = ({ body }: Received) => /级别/.test(body.markdown.text);
      return eventually(
        () => {
          const zh = messages.find((one) => isZh(one) && one.body.markdown.title.includes(zhWord));
          const en = messages.find((one) => !isZh(one) && one.body.markdown.title.includes(enWord));
          return zh === undefined || en === undefined ? null : { zh, en };
        },
        `${count} messages`,
        { timeoutMs: 30_000, output: () => JSON.stringify(messages) },
      );
    },
    close: () => new Promise((resolve) => listener.close(resolve)),
  };
}

/** Computed with Web Crypto, as an implementation of its own. */
async function signedRightly(url: URL, secret: string): Promise<boolean> {
  const timestamp = url.searchParams.get('timestamp') ?? '';
  if (Math.abs(Date.now() - Number(timestamp)) > 3_600_000) return false;
  const bytes = (text: string) => new TextEncoder().encode(text);
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', bytes(secret), algorithm, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, bytes(`${timestamp}\n${secret}`));
  return url.searchParams.get('sign') === Buffer.from(mac).toString('base64');
}
