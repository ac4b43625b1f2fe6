import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkedConfig } from './config.js';
import {
  type Checked,
  type Container,
  checkObjects,
  isWorkload,
  type KubeObject,
  OVERLAYS,
  type Overlay,
  operatorDefinitions,
  quantity,
  renderer,
  type Workload,
} from './kubernetes.js';
import { missing, python, ROOT } from './tools.js';

const render = renderer();
const py = await python();
const MIB = 2 ** 20;

/** Resident memory of a server that did nothing yet, rounded up; measured. */
const IDLE_MIB = 180;

describe.skipIf(missing('kubectl or kustomize, and Python', render, py))('kubernetes', () => {
  const rendered = new Map<Overlay, Checked>();
  const text = new Map<Overlay, string>();

  beforeAll(() => {
    const crds = operatorDefinitions();
    if (crds === null) console.warn('SKIPPED: the schemas of ServiceMonitor and PrometheusRule');
    for (const overlay of OVERLAYS) {
      const yaml = render?.(`k8s/overlays/${overlay}`) ?? '';
      text.set(overlay, yaml);
      const checked = checkObjects(String(py), yaml, crds);
      // Without the definitions, those kinds have no schema to be held against.
      const own = /^(ServiceMonitor|PrometheusRule)\/.*no schema/;
      checked.problems = checked.problems.filter((one) => crds !== null || !own.test(one));
      rendered.set(overlay, checked);
    }
  }, 180_000);

  const objectsOf = (overlay: Overlay) => rendered.get(overlay)?.objects ?? [];
  const one = (overlay: Overlay, kind: string, name: string): KubeObject => {
    const found = objectsOf(overlay).find((o) => o.kind === kind && o.metadata.name === name);
    if (found === undefined) throw new Error(`${overlay} has no ${kind} ${name}`);
    return found;
  };
  const has = (overlay: Overlay, kind: string) => objectsOf(overlay).some((o) => o.kind === kind);
  const workloadOf = (overlay: Overlay): Workload => {
    const found = objectsOf(overlay).filter(isWorkload);
    expect(found).toHaveLength(1);
    return found[0];
  };
  const containerOf = (overlay: Overlay): Container => {
    const { containers } = workloadOf(overlay).spec.template.spec;
    expect(containers).toHaveLength(1);
    return containers[0];
  };
  const tomlOf = (overlay: Overlay) =>
    one(overlay, 'ConfigMap', 'memtrace-config').data?.['memtrace.toml'] ?? '';
  const memtraces = ['single', 'cluster', 'dev'] as const;

  it.each(OVERLAYS)('%s satisfies the schemas of Kubernetes 1.25 and 1.37', (overlay) => {
    expect(rendered.get(overlay)?.problems).toEqual([]);
    expect(objectsOf(overlay).length).toBeGreaterThan(2);
  });

  it('the schemas refuse what is wrong', () => {
    const yaml = (text.get('single') ?? '')
      .replace('containerPort: 9100', 'containerPort: "9100"')
      .replace('storageClassName: csi-disk', 'storageClass: csi-disk');
    const { problems } = checkObjects(String(py), yaml, null);
    expect(problems.join('\n')).toMatch(/Deployment\/memtrace \(1\.25\)/);
    expect(problems.join('\n')).toMatch(/PersistentVolumeClaim\/memtrace-sqlite \(1\.37\)/);
  });

  it.each(OVERLAYS)('%s puts every namespaced object into the namespace memtrace', (overlay) => {
    for (const { kind, metadata } of objectsOf(overlay)) {
      if (kind !== 'Namespace') expect(metadata.namespace, metadata.name).toBe('memtrace');
    }
  });

  it.each(OVERLAYS)('%s keeps the restricted Pod Security Standard', (overlay) => {
    const pod = workloadOf(overlay).spec.template.spec;
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      fsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod).not.toHaveProperty('hostNetwork');
    expect(pod).not.toHaveProperty('hostPID');
    expect(pod).not.toHaveProperty('hostIPC');
    for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.securityContext).not.toHaveProperty('privileged');
    }
    const allowed = ['configMap', 'emptyDir', 'persistentVolumeClaim', 'secret'];
    for (const volume of pod.volumes ?? []) {
      const kinds = Object.keys(volume).filter((key) => key !== 'name');
      expect(allowed, String(volume['name'])).toEqual(expect.arrayContaining(kinds));
    }
  });

  it.each(OVERLAYS)('%s gives the pod no token and no variables of services', (overlay) => {
    const pod = workloadOf(overlay).spec.template.spec;
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.enableServiceLinks).toBe(false);
  });

  it.each(OVERLAYS)('%s writes only to volumes', (overlay) => {
    const mounts = containerOf(overlay).volumeMounts ?? [];
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual(
      expect.arrayContaining(['/app/data', '/tmp']),
    );
  });

  it.each(OVERLAYS)('%s pins its images', (overlay) => {
    expect(containerOf(overlay).image).toMatch(/:(\d+\.\d+\.\d+|dev)$/);
  });

  it.each(OVERLAYS)('%s outlasts endpoint removal and the shutdown timeout', (overlay) => {
    const pod = workloadOf(overlay).spec.template.spec;
    const [program, seconds] = containerOf(overlay).lifecycle?.preStop?.exec?.command ?? [];
    expect(program).toBe('sleep');
    expect(Number(seconds)).toBeGreaterThanOrEqual(5);
    const shutdown = Number(/shutdown_timeout = "(\d+)s"/.exec(text.get(overlay) ?? '')?.[1] ?? 30);
    const needed = Number(seconds) + shutdown;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(needed);
  });

  it.each(OVERLAYS)('%s probes: slow starts live, only the unready get no traffic', (overlay) => {
    const { startupProbe, livenessProbe, readinessProbe } = containerOf(overlay);
    expect(startupProbe?.httpGet).toEqual({ path: '/health', port: 'http' });
    expect(livenessProbe?.httpGet).toEqual({ path: '/health', port: 'http' });
    expect(readinessProbe?.httpGet).toEqual({ path: '/ready', port: 'http' });
    const patienceS = (startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0);
    expect(patienceS).toBeGreaterThanOrEqual(600);
    const deadline = workloadOf(overlay).spec.progressDeadlineSeconds;
    if (deadline !== undefined) expect(deadline).toBeGreaterThan(patienceS);
  });

  it.each(['single', 'cluster', 'arc'] as const)('%s asks for 500m/1Gi, at most 2/4Gi', (name) => {
    expect(containerOf(name).resources).toEqual({
      requests: { cpu: '500m', memory: '1Gi' },
      limits: { cpu: '2', memory: '4Gi' },
    });
  });

  it.each(memtraces)('%s has the names that operators know', (overlay) => {
    const { metadata, spec } = workloadOf(overlay);
    expect(metadata.name).toBe('memtrace');
    expect(metadata.labels).toMatchObject({
      app: 'memtrace',
      'app.kubernetes.io/name': 'memtrace',
      'app.kubernetes.io/part-of': 'memtrace',
      'app.kubernetes.io/instance': overlay,
    });
    expect(spec.selector.matchLabels).toEqual({ app: 'memtrace' });
    expect(spec.template.metadata.labels['app']).toBe('memtrace');
    const container = containerOf(overlay);
    expect(container.ports).toEqual([{ name: 'http', containerPort: 9100, protocol: 'TCP' }]);
    const mounts = new Map(container.volumeMounts?.map((m) => [m.mountPath, m]));
    expect(mounts.get('/app/config')).toMatchObject({ name: 'config', readOnly: true });
    const service = one(overlay, 'Service', 'memtrace-service');
    expect(service.spec).toMatchObject({
      selector: { app: 'memtrace' },
      ports: [{ name: 'http', port: 9100, targetPort: 'http' }],
    });
    expect(spec.template.spec.volumes).toContainEqual({
      name: 'config',
      configMap: { name: 'memtrace-config' },
    });
  });

  it.each(memtraces)('%s reads its secrets from memtrace-secrets', (overlay) => {
    const refs = (containerOf(overlay).env ?? []).flatMap(({ name, valueFrom }) =>
      valueFrom?.secretKeyRef === undefined ? [] : [{ env: name, ...valueFrom.secretKeyRef }],
    );
    expect(refs).toContainEqual({
      env: 'MEMTRACE_AUTH_BOOTSTRAP_KEY',
      name: 'memtrace-secrets',
      key: 'bootstrap-key',
    });
    expect(refs).toContainEqual({
      env: 'MEMTRACE_ARC_API_KEY',
      name: 'memtrace-secrets',
      key: 'arc-api-key',
      optional: true,
    });
    const documented = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
    for (const { env } of refs) expect(documented).toContain(`\`${env}\``);
  });

  it.each(memtraces)('a change of %s’s memtrace.toml rolls its pods', (overlay) => {
    const name = workloadOf(overlay).spec.template.metadata.annotations?.['memtrace.io/config'];
    expect(name).toMatch(/^memtrace-config-version-[a-z0-9]{10}$/);
    // The one that is hashed is the one that is mounted.
    expect(one(overlay, 'ConfigMap', String(name)).data?.['memtrace.toml']).toBe(tomlOf(overlay));
  });

  it.each(memtraces)('%s’s memtrace.toml passes the server’s own check', async (overlay) => {
    const { values, unsupported } = await checkedConfig(tomlOf(overlay), containerOf(overlay));
    expect(values.get('server.host')).toBe('0.0.0.0');
    expect(values.get('server.port')).toBe(9100);
    expect(values.get('storage.data_dir')).toBe('/app/data');
    if (overlay !== 'cluster') expect(unsupported).toEqual([]);
    // The reserved options, by name: when the server takes them, this test asks to say so.
    else expect(unsupported.length).toBeGreaterThanOrEqual(3);
  });

  it.each(memtraces)('%s’s budgets of memory add up', async (overlay) => {
    const { resources, env } = containerOf(overlay);
    const limit = quantity(resources?.limits?.['memory'] ?? '0');
    const { values } = await checkedConfig(tomlOf(overlay), containerOf(overlay));
    const heapFlag = env?.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '';
    const heap = Number(/--max-old-space-size=(\d+)/.exec(heapFlag)?.[1]) * MIB;
    const set = /memory_limit = "(\w+)"/.exec(tomlOf(overlay))?.[1];
    // Without the option the server takes a quarter of the container's limit.
    const engine = set === undefined ? Math.min(1024 * MIB, limit / 4) : quantity(set);
    const rest = ['buffer.max_bytes', 'wal.max_pending', 'limits.inflight_bytes'];
    const bodies = rest.reduce((sum, name) => sum + quantity(String(values.get(name))), 0);
    const sum = IDLE_MIB * MIB + heap + engine + bodies;
    expect(sum).toBeLessThan(limit);
    // The HPA of the cluster adds pods at 80 % of the request.
    if (overlay === 'cluster') expect(sum).toBeLessThan(700 * MIB);
  });

  it('single: one pod, never two on its disk, nothing that scales it', () => {
    expect(workloadOf('single').spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'Recreate' },
    });
    expect(workloadOf('single').spec.strategy).not.toHaveProperty('rollingUpdate');
    expect(has('single', 'HorizontalPodAutoscaler')).toBe(false);
    const claim = one('single', 'PersistentVolumeClaim', 'memtrace-sqlite').spec ?? {};
    expect(claim).toMatchObject({ accessModes: ['ReadWriteOnce'], storageClassName: 'csi-disk' });
    const { requests } = claim['resources'] as { requests: { storage: string } };
    expect(quantity(requests.storage)).toBeGreaterThanOrEqual(10 * 1024 * MIB);
    expect(workloadOf('single').spec.template.spec.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: 'memtrace-sqlite' },
    });
  });

  it('cluster: three replicas that roll one by one, spread over zones and hosts', () => {
    const { spec } = workloadOf('cluster');
    expect(spec).toMatchObject({
      replicas: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
    const keys = spec.template.spec.topologySpreadConstraints?.map((c) => c.topologyKey);
    expect(keys).toEqual(['topology.kubernetes.io/zone']);
    expect(JSON.stringify(spec.template.spec.affinity)).toContain('kubernetes.io/hostname');
    expect(one('cluster', 'PodDisruptionBudget', 'memtrace').spec).toMatchObject({
      maxUnavailable: 1,
    });
    expect(one('cluster', 'HorizontalPodAutoscaler', 'memtrace-hpa').spec).toMatchObject({
      minReplicas: 3,
      maxReplicas: 10,
      scaleTargetRef: { kind: 'Deployment', name: 'memtrace' },
      metrics: [
        { resource: { name: 'cpu', target: { averageUtilization: 70 } } },
        { resource: { name: 'memory', target: { averageUtilization: 80 } } },
      ],
    });
  });

  /** An overlay with one of the components that it leaves out. */
  function withComponent(overlay: Overlay, component: string): KubeObject[] {
    const folder = mkdtempSync(join(ROOT, 'k8s/overlays/.test-'));
    try {
      const text = `resources: [../${overlay}]\ncomponents: [../../components/${component}]\n`;
      writeFileSync(join(folder, 'kustomization.yaml'), text);
      const checked = checkObjects(String(py), render?.(folder) ?? '', operatorDefinitions());
      expect(checked.problems.filter((one) => !one.includes('no schema'))).toEqual([]);
      return checked.objects;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it('cluster with hpa-buffer-size: the HPA looks at a metric that exists', () => {
    const objects = withComponent('cluster', 'hpa-buffer-size');
    const hpa = objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler');
    expect(hpa?.spec?.['metrics']).toContainEqual({
      type: 'Pods',
      pods: {
        metric: { name: 'memtrace_buffer_size' },
        target: { type: 'AverageValue', averageValue: '40k' },
      },
    });
    const code = readFileSync(join(ROOT, 'internal/telemetry/metrics.ts'), 'utf8');
    expect(code).toContain('memtrace_buffer_size:');
  });

  it('single with alert-bridge: the same image, as locked down', () => {
    const objects = withComponent('single', 'alert-bridge').filter(isWorkload);
    expect(objects.map(({ metadata }) => metadata.name).sort()).toEqual([
      'memtrace',
      'memtrace-alert-bridge',
    ]);
    for (const { spec } of objects) {
      const [container] = spec.template.spec.containers;
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it.each(['single', 'cluster'] as const)('%s: the ingress shows the API and no more', (name) => {
    const { metadata, spec } = one(name, 'Ingress', 'memtrace-ingress');
    expect(metadata.annotations).toMatchObject({
      'kubernetes.io/elb.class': 'performance',
      'kubernetes.io/elb.id': 'REPLACE_ELB_ID',
      'kubernetes.io/elb.port': '443',
    });
    const { ingressClassName, tls, rules } = spec as {
      ingressClassName: string;
      tls: { secretName: string }[];
      rules: { http: { paths: { path: string; pathType: string }[] } }[];
    };
    expect(ingressClassName).toBe('cce');
    expect(tls[0].secretName).toBe('memtrace-tls');
    const paths = rules.flatMap(({ http }) => http.paths);
    expect(paths.map(({ path }) => path)).toEqual(['/api/v1', '/mcp', '/health']);
    expect(one(name, 'Service', 'memtrace-service').spec?.['type']).toBe('NodePort');
  });

  it('dev: no load balancer, no disk', () => {
    expect(has('dev', 'Ingress')).toBe(false);
    expect(has('dev', 'PersistentVolumeClaim')).toBe(false);
    expect(has('dev', 'ServiceMonitor')).toBe(false);
    expect(one('dev', 'Service', 'memtrace-service').spec?.['type']).toBe('ClusterIP');
  });

  it('arc: a StatefulSet with its own disk behind arc-service:8000', () => {
    const { kind, spec } = workloadOf('arc');
    expect(kind).toBe('StatefulSet');
    expect(spec.serviceName).toBe('arc-service');
    expect(one('arc', 'Service', 'arc-service').spec).toMatchObject({
      ports: [{ name: 'http', port: 8000 }],
    });
    expect(tomlOf('cluster')).toContain('url = "http://arc-service:8000"');
  });

  it.each(memtraces)('%s: the policy lets in whom it names and out to DNS', (overlay) => {
    const { spec } = one(overlay, 'NetworkPolicy', 'memtrace');
    expect(spec).toMatchObject({
      podSelector: { matchLabels: { app: 'memtrace' } },
      policyTypes: ['Ingress', 'Egress'],
    });
    const { ingress } = spec as { ingress: { from?: unknown[]; ports: { port: string }[] }[] };
    for (const rule of ingress) {
      expect(rule.from?.length).toBeGreaterThan(0);
      expect(rule.ports).toEqual([{ port: 'http', protocol: 'TCP' }]);
    }
  });

  it('the namespace enforces what the pods keep', () => {
    const { labels } = one('single', 'Namespace', 'memtrace').metadata;
    expect(labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  it.each(['single', 'cluster'] as const)('%s: Prometheus finds the Service', (overlay) => {
    const { spec } = one(overlay, 'ServiceMonitor', 'memtrace');
    expect(spec).toMatchObject({
      selector: { matchLabels: { app: 'memtrace' } },
      endpoints: [{ port: 'http', path: '/metrics', interval: '30s' }],
      jobLabel: 'app',
    });
    expect(one(overlay, 'Service', 'memtrace-service').metadata.labels?.['app']).toBe('memtrace');
    const { annotations } = workloadOf(overlay).spec.template.metadata;
    expect(annotations).toMatchObject({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '9100',
      'prometheus.io/path': '/metrics',
    });
  });

  it('the example of the Secret has every key that the pods want', () => {
    const example = readFileSync(join(ROOT, 'k8s/base/secret.example.yaml'), 'utf8');
    expect(checkObjects(String(py), example, null).problems).toEqual([]);
    for (const key of ['bootstrap-key', 'arc-api-key']) expect(example).toContain(`${key}:`);
  });
});
