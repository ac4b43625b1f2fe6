import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { quantity } from './kubernetes.js';
import { goModule, loadYaml, missing, objects, python, ROOT, run, tool } from './tools.js';

const py = await python();
const promtool = tool('promtool');
const amtool = tool('amtool');
const composeSchema = goModule('github.com/compose-spec/compose-go/v2@v2.16.2');

const MIB = 2 ** 20;
const COMPOSE = 'deploy/docker-compose.2c4g.yml';
const RULES = ['memtrace', 'box', 'kubernetes'];
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Service {
  image: string;
  mem_limit: string;
  cpus: number;
  restart: string;
  read_only: boolean;
  cap_drop: string[];
  ports?: string[];
  profiles?: string[];
  volumes?: string[];
  healthcheck: unknown;
  logging: { options: Record<string, string> };
  environment?: Record<string, string>;
}

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

describe.skipIf(missing('Python with PyYAML', py))('docker-compose.2c4g.yml', () => {
  const [compose] = py === null ? [] : loadYaml<Compose>(py, COMPOSE);
  const services = Object.entries(compose?.services ?? {});

  it.skipIf(missing('the schema of the compose specification', composeSchema))(
    'satisfies the schema of the compose specification',
    () => {
      const schema = `${composeSchema}/schema/compose-spec.json`;
      expect(objects(String(py), ['schema', schema], text(COMPOSE))).toEqual([]);
      const wrong = text(COMPOSE).replace('restart: unless-stopped', 'restarts: unless-stopped');
      expect(objects(String(py), ['schema', schema], wrong)).not.toEqual([]);
    },
  );

  it('leaves at least 0.8 GB of 4 GB', () => {
    const limits = services.map(([, { mem_limit }]) => quantity(megabytes(mem_limit)));
    const sum = limits.reduce((a, b) => a + b);
    expect(4_000_000_000 - sum).toBeGreaterThan(800_000_000);
    const of = (name: string) => quantity(megabytes(compose.services[name].mem_limit));
    expect(of('memtrace')).toBe(1024 * MIB);
    expect(of('prometheus')).toBe(768 * MIB);
    expect(of('grafana')).toBe(512 * MIB);
    expect(compose.services['memtrace'].cpus).toBe(1);
  });

  it('has memtrace’s budgets within its limit', () => {
    const env = compose.services['memtrace'].environment ?? {};
    const heap = Number(/size=(\d+)/.exec(env['NODE_OPTIONS'])?.[1]) * MIB;
    const rest = ['BUFFER_MAX_BYTES', 'WAL_MAX_PENDING', 'LIMITS_INFLIGHT_BYTES'];
    const bodies = rest.reduce((sum, name) => sum + quantity(env[`MEMTRACE_${name}`]), 0);
    expect(180 * MIB + heap + (1024 * MIB) / 4 + bodies).toBeLessThan(1024 * MIB);
  });

  it.each(services.map(([name]) => name))('%s is watched, bounded and locked down', (name) => {
    const service = compose.services[name];
    expect(service.restart).toBe('unless-stopped');
    expect(service.healthcheck).toBeDefined();
    expect(service.logging.options).toEqual({ 'max-size': '10m', 'max-file': '3' });
    expect(service.image).toMatch(/:v?\d+\.\d+\.\d+(-alpine)?$/);
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.cpus).toBeGreaterThan(0);
  });

  it('opens no port to the world but the proxy’s', () => {
    for (const [name, { ports = [] }] of services) {
      const open = ports.filter((port) => !port.startsWith('127.0.0.1:'));
      expect(open, name).toEqual(name === 'nginx' ? ['443:443'] : []);
    }
  });

  it('mounts files that exist and volumes that have names', () => {
    for (const [, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const [source] = volume.split(':');
        if (source === '/' || source === './nginx/certs') continue;
        if (source.startsWith('./')) expect(() => readPath(source), source).not.toThrow();
        else expect(compose.volumes).toHaveProperty(source);
      }
    }
  });

  it('wants only variables that env.example explains', () => {
    const wanted = [...text(COMPOSE).matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
    for (const name of wanted) expect(text('deploy/env.example')).toContain(`${name}=`);
  });
});

function readPath(source: string): unknown {
  const path = join(ROOT, 'deploy', source);
  return source.includes('.', 2) ? readFileSync(path) : readdirSync(path);
}

function megabytes(limit: string): string {
  return limit.replace(/^(\d+)([mg])$/, (_, n, unit) => `${n}${unit === 'g' ? 'Gi' : 'Mi'}`);
}

interface Rule {
  alert?: string;
  expr: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

describe.skipIf(missing('promtool', promtool))('alert rules', () => {
  it.each(RULES)('%s: promtool’s cases pass', (name) => {
    run(String(promtool), ['check', 'rules', `deploy/prometheus/rules/${name}.yml`]);
    const output = run(String(promtool), ['test', 'rules', `deploy/prometheus/tests/${name}.yml`]);
    expect(output).toContain('SUCCESS');
  });

  it('prometheus.yml and its rules are valid', () => {
    run(String(promtool), ['check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml']);
  });
});

describe.skipIf(missing('Python with PyYAML', py))('each alert', () => {
  const paths = RULES.map((name) => `deploy/prometheus/rules/${name}.yml`);
  const files = py === null ? [] : loadYaml<{ groups: { rules: Rule[] }[] }>(py, ...paths);
  const alerts = files.flatMap(({ groups }, index) =>
    groups
      .flatMap(({ rules }) => rules)
      .flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, file: RULES[index] }])),
  );

  it.each(alerts)('$alert ($file) has a case, a runbook and two languages', (rule) => {
    const cases = text(`deploy/prometheus/tests/${rule.file}.yml`);
    expect(cases).toContain(`name: ${rule.alert} fires`);
    expect(cases).toContain(`name: ${rule.alert} keeps quiet`);
    expect(['critical', 'warning']).toContain(rule.labels?.['severity']);
    expect(rule.annotations?.['summary']).toBeTruthy();
    expect(rule.annotations?.['summary_zh']).toMatch(/\p{Script=Han}/u);
    const anchor = String(rule.alert).toLowerCase();
    expect(rule.annotations?.['runbook']).toBe(`docs/runbooks.md#${anchor}`);
    for (const book of ['docs/runbooks.md', 'docs/runbooks.zh-CN.md']) {
      expect(text(book), book).toMatch(new RegExp(`^## ${rule.alert}$`, 'm'));
    }
  });

  it('every metric of memtrace’s in a rule or panel exists in the code', () => {
    const code = ['internal/telemetry/metrics.ts', 'internal/telemetry/exposition.ts'].map(text);
    const dashboard = text('deploy/grafana/memtrace.json');
    const used = new Set([...`${paths.map(text)}${dashboard}`.matchAll(/\bmemtrace_\w+/g)].flat());
    for (const name of used) {
      const base = name.replace(/_(bucket|count|sum)$/, '');
      const known = code.some((one) => one.includes(`'${base}'`) || one.includes(`  ${base}:`));
      expect(known, name).toBe(true);
    }
    expect(used.size).toBeGreaterThan(15);
  });
});

describe.skipIf(missing('amtool', amtool))('alertmanager', () => {
  it.each(['alertmanager.yml', 'examples.yml'])('%s is valid', (name) => {
    const output = run(String(amtool), ['check-config', `deploy/alertmanager/${name}`]);
    expect(output).toContain('SUCCESS');
  });
});
