import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Kubernetes takes alert rules as an object: k8s/components/monitoring/prometheusrule.yaml is made
 * of the files that a Prometheus on one box reads too. Run this after changing a rule:
 * `npx tsx test/deploy/generate.ts`; a test compares.
 */
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = ['memtrace.yml', 'kubernetes.yml'];

export const PROMETHEUS_RULE = 'k8s/components/monitoring/prometheusrule.yaml';

/** The object's text as it should be. */
export function renderPrometheusRule(): string {
  const groups = SOURCES.map((name) => {
    const text = readFileSync(join(ROOT, 'deploy/prometheus/rules', name), 'utf8');
    const body = text.slice(text.indexOf('groups:\n') + 'groups:\n'.length).trimEnd();
    return body.replace(/^(?=.)/gm, '  ');
  });
  return [
    '# Generated from deploy/prometheus/rules by test/deploy/generate.ts.',
    'apiVersion: monitoring.coreos.com/v1',
    'kind: PrometheusRule',
    'metadata:',
    '  name: memtrace',
    'spec:',
    '  groups:',
    groups.join('\n\n'),
    '',
  ].join('\n');
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(ROOT, PROMETHEUS_RULE), renderPrometheusRule());
}
