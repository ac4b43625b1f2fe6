import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { api } from '../support/api.js';
import { cli } from '../support/cli.js';
import { cleanEnv, startServer, tempDir } from '../support/server.js';
import {
  type Container,
  checkObjects,
  type KubeObject,
  type PodSpec,
  renderer,
} from './kubernetes.js';
import { missing, python, ROOT } from './tools.js';

/** Backups as they are deployed: the weekly drill of Kubernetes, and the files of one box. */
const render = renderer();
const py = await python();

interface CronJob extends KubeObject {
  spec: {
    schedule: string;
    concurrencyPolicy: string;
    jobTemplate: { spec: { template: { spec: PodSpec & { restartPolicy: string } } } };
  };
}

interface Drilled extends Container {
  command: string[];
  args: string[];
  envFrom: { configMapRef: { name: string } }[];
}

/** A backup of a server that had some events; its target directory. */
async function backedUp(): Promise<string> {
  const server = await startServer();
  const target = tempDir('memtrace-drill-target-');
  const memories = Array.from({ length: 500 }, (_, n) => ({
    agent_id: 'a',
    content: `第 ${n} 条`,
  }));
  expect((await api(server).post('/memories', { memories })).status).toBe(201);
  const made = await cli(server.dataDir, ['backup', 'create', '--to', target]);
  expect(made.code, made.stderr).toBe(0);
  await server.stop();
  return target;
}

describe.skipIf(missing('kubectl or kustomize, and Python', render, py))(
  'the restore drill',
  () => {
    let job: CronJob;
    let objects: KubeObject[];

    beforeAll(() => {
      objects = checkObjects(String(py), render?.('k8s/overlays/single') ?? '', null).objects;
      const found = objects.find(({ kind }) => kind === 'CronJob');
      if (found === undefined) throw new Error('single has no CronJob');
      job = found as CronJob;
    });

    const podOf = () => job.spec.jobTemplate.spec.template.spec;
    const containerOf = () => podOf().containers[0] as Drilled;

    it('is as locked down as the server, runs one at a time, and is no pod of the Service', () => {
      expect(job.spec.concurrencyPolicy).toBe('Forbid');
      expect(podOf()).toMatchObject({
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(containerOf().securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(JSON.stringify(job.spec)).not.toContain('"app":"memtrace"');
      expect(containerOf().image).toMatch(/\/memtrace:\d+\.\d+\.\d+$/);
    });

    it('reads the same target with the same names as the server, which the server knows', () => {
      const documented = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
      const server = objects.find(({ kind }) => kind === 'Deployment');
      const [{ configMapRef }] = containerOf().envFrom;
      expect(JSON.stringify(server)).toContain(`"configMapRef":{"name":"${configMapRef.name}"}`);
      const map = objects.find(({ metadata }) => metadata.name === configMapRef.name);
      const names = [
        ...Object.keys(map?.data ?? {}),
        ...(containerOf().env ?? []).map((e) => e.name),
      ];
      expect(names).toContain('MEMTRACE_BACKUP_TARGET');
      for (const name of names) expect(documented).toContain(`\`${name}\``);
    });

    it('ends well with a whole backup, and badly with a damaged one', async () => {
      const target = await backedUp();
      expect(drill(containerOf(), target)).toMatchObject({ status: 0 });
      const [file] = filesBelow(join(target, 'files'));
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(file, bytes);
      const damaged = drill(containerOf(), target);
      expect(damaged.status).toBe(3);
      const { missing: named } = JSON.parse(damaged.stdout) as { missing: unknown[] };
      expect(named).toHaveLength(1);
    }, 60_000);
  },
);

/** The command of the container, outside one: the same words with another folder to restore to. */
function drill({ command, args }: Drilled, target: string) {
  const folder = tempDir('memtrace-drill-');
  const script = args.join('\n').replaceAll('/restore/data', join(folder, 'data'));
  const [shell, ...flags] = command;
  const env = cleanEnv({ MEMTRACE_BACKUP_TARGET: target });
  const done = spawnSync(shell, [...flags, script], { cwd: ROOT, env, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  return done;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('one box', () => {
  it('takes the profile of a small box', async () => {
    const file = join(ROOT, 'deploy/backup/memtrace.toml');
    expect(existsSync(file)).toBe(true);
    const { code, stdout } = await cli(tempDir('memtrace-box-'), [
      'config',
      'check',
      '--json',
      '--config',
      file,
    ]);
    expect(code, stdout).toBe(0);
    const { options, warnings } = JSON.parse(stdout) as {
      options: { option: string; value: unknown }[];
      warnings: string[];
    };
    expect(warnings).toEqual([]);
    const values = new Map(options.map(({ option, value }) => [option, value]));
    expect(values.get('backup.keep_daily')).toBe(7);
    expect(values.get('backup.keep_weekly')).toBe(4);
    expect(values.get('backup.wal_every')).toBe('1m');
  });
});
