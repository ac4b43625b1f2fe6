import { goModule, objects, run, tool } from './tools.js';

/** Objects as the overlays give them. Only what the tests look at is typed. */
export interface KubeObject {
  kind: string;
  apiVersion: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  // Every kind has its own shape: tests read it by path.
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
}

export interface Probe {
  httpGet?: { path: string; port: string | number };
  periodSeconds?: number;
  timeoutSeconds?: number;
  failureThreshold?: number;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string; optional?: boolean } };
}

export interface Container {
  name: string;
  image: string;
  env?: EnvVar[];
  ports?: { name: string; containerPort: number }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop?: { exec?: { command: string[] } } };
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: Record<string, unknown>;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface PodSpec {
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  terminationGracePeriodSeconds?: number;
  securityContext?: Record<string, unknown>;
  containers: Container[];
  initContainers?: Container[];
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  volumes?: Record<string, unknown>[];
  topologySpreadConstraints?: { topologyKey: string }[];
  affinity?: unknown;
}

export interface Workload extends KubeObject {
  spec: {
    replicas?: number;
    strategy?: { type: string; rollingUpdate?: { maxSurge: number; maxUnavailable: number } };
    selector: { matchLabels: Record<string, string> };
    progressDeadlineSeconds?: number;
    serviceName?: string;
    template: {
      metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
      spec: PodSpec;
    };
  };
}

export const OVERLAYS = ['single', 'cluster', 'dev', 'arc'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** The oldest version that is promised, and the newest whose schemas are known. */
export const VERSIONS = ['1.25', '1.37'];
const OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.79.2';

/** Renders a folder with what is there: kubectl's kustomize, or kustomize itself. */
export function renderer(): ((path: string) => string) | null {
  const kubectl = tool('kubectl');
  if (kubectl !== null) return (path) => run(kubectl, ['kustomize', path]);
  const kustomize = tool('kustomize', '$HOME/go/bin/kustomize');
  return kustomize === null ? null : (path) => run(kustomize, ['build', path]);
}

/** The folder with the definitions of ServiceMonitor and PrometheusRule; null if not to be had. */
export function operatorDefinitions(): string | null {
  const folder = goModule(OPERATOR);
  return folder === null ? null : `${folder}/example/prometheus-operator-crd`;
}

export interface Checked {
  objects: KubeObject[];
  problems: string[];
}

/** Objects and what the schemas say against them. */
export function checkObjects(python: string, yaml: string, crds: string | null): Checked {
  const args = ['kubernetes', ...VERSIONS, ...(crds === null ? [] : ['--crds', crds])];
  return objects<Checked>(python, args, yaml);
}

/** `1Gi`, `500m`, `2`, or as memtrace writes it `64MiB`, as a number of bytes or cores. */
export function quantity(text: string): number {
  const [, number, unit] = /^([\d.]+)(?:(m|k|Ki|Mi|Gi)B?)?$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`no quantity: ${text}`);
  const factors: Record<string, number> = {
    m: 1e-3,
    k: 1e3,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
  };
  return Number(number) * (unit === undefined ? 1 : (factors[unit] ?? Number.NaN));
}

export function isWorkload(object: KubeObject): object is Workload {
  return object.kind === 'Deployment' || object.kind === 'StatefulSet';
}
