import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PROMETHEUS_RULE, renderPrometheusRule } from './generate.js';
import { ROOT } from './tools.js';

/** Names that deployment files and code must agree on, where no other test runs both. */
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

it('paths that are probed, scraped and passed on are routes of the server', () => {
  const routes = read('internal/api/app.ts');
  for (const path of ['/health', '/ready', '/metrics']) expect(routes).toContain(`'${path}'`);
  for (const path of ['/api/v1/memories', '/api/v1/export', '/api/v1/search']) {
    expect(routes).toContain(`'${path}'`);
  }
});

it('the image has the port, the user and the folders that the files count on', () => {
  const image = read('Dockerfile');
  expect(image).toMatch(/^EXPOSE 9100$/m);
  // The user 1000 of the official image.
  expect(image).toMatch(/^USER node$/m);
  expect(image).toMatch(/^WORKDIR \/app$/m);
  expect(image).toContain('/app/data');
  expect(image).toContain('ENTRYPOINT ["node", "dist/cmd/memtrace/main.js"]');
  expect(read('docs/configuration.md')).toContain('`/app/config/memtrace.toml`');
});

it('nginx closes idle connections before the server does, and waits longer than a query', () => {
  const options = read('docs/configuration.md');
  const seconds = (key: string) =>
    Number(new RegExp(`^\\| \`${key}\`.*?\\| \`"(\\d+)s"\``, 'm').exec(options)?.[1]);
  const backends = read('deploy/nginx/backends.one.conf');
  const idle = Number(/keepalive_timeout (\d+)s/.exec(backends)?.[1]);
  expect(idle).toBeLessThan(seconds('keep_alive_timeout'));
  const patience = Number(/proxy_read_timeout (\d+)s/.exec(read('deploy/nginx/nginx.conf'))?.[1]);
  expect(patience).toBeGreaterThan(seconds('timeout'));
  expect(read('deploy/nginx/nginx.conf')).toContain('client_max_body_size 10m;');
  expect(options).toMatch(/`body_bytes`.*`"10MiB"`/);
});

interface Panel {
  id: number;
  type: string;
  title: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}

it('the dashboard has the shape that Grafana 10 and later take', () => {
  const dashboard = JSON.parse(read('deploy/grafana/memtrace.json')) as {
    schemaVersion: number;
    uid: string;
    panels: Panel[];
    templating: { list: { name: string }[] };
  };
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(38);
  expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'instance']);
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const taken = new Set<string>();
  for (const { title, type, gridPos, targets = [], datasource } of dashboard.panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x},${y}`), `${title} overlaps`).toBe(false);
        taken.add(`${x},${y}`);
      }
    }
    if (type === 'row') continue;
    expect(datasource?.uid).toMatch(/^\$\{datasource\}$/);
    expect(targets.length, title).toBeGreaterThan(0);
    const refs = targets.map(({ refId }) => refId);
    expect(new Set(refs).size).toBe(refs.length);
  }
});

it('PrometheusRule is what the rule files say', () => {
  expect(read(PROMETHEUS_RULE)).toBe(renderPrometheusRule());
});
