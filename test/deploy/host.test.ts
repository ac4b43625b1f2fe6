import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { missing, ROOT, run, tool } from './tools.js';

const shellcheck = tool('shellcheck');
const analyze = tool('systemd-analyze');
const SCRIPTS = [
  'deploy/install.sh',
  'deploy/arc/deploy-arc.sh',
  'test/deploy/install-in-root.sh',
  'test/deploy/run-locked-down.sh',
];

describe.skipIf(missing('shellcheck', shellcheck))('scripts', () => {
  it.each(SCRIPTS)('%s passes shellcheck', (script) => {
    run(String(shellcheck), [script]);
  });
});

describe.skipIf(missing('systemd-analyze', analyze))('memtrace.service', () => {
  it('may do little: an exposure of at most 2.0', () => {
    const args = ['security', '--offline=true', '--no-pager', 'deploy/systemd/memtrace.service'];
    const output = run(String(analyze), args);
    const [, level] = /Overall exposure level for memtrace.service: ([\d.]+)/.exec(output) ?? [];
    expect(Number(level)).toBeGreaterThan(0);
    expect(Number(level)).toBeLessThanOrEqual(2);
  });

  it('waits longer than the server’s shutdown', () => {
    const unit = readFileSync(join(ROOT, 'deploy/systemd/memtrace.service'), 'utf8');
    expect(Number(/^TimeoutStopSec=(\d+)/m.exec(unit)?.[1])).toBeGreaterThan(30);
  });
});

/** A layer over this machine's root, in a mount namespace: only root may, and not everywhere. */
function canLayer(): true | null {
  const script =
    'd=$(mktemp -d) && mount -t tmpfs t $d && mkdir $d/u $d/w $d/m && mount -t overlay';
  const layer = `${script} o -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/m`;
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', layer];
  return spawnSync('unshare', args).status === 0 ? true : null;
}

/** The service cannot run a node that lies in somebody's home. */
const systemNode = /^\/(root|home)\//.test(process.execPath) ? null : true;

describe.skipIf(missing('a throwaway root with a node for all users', canLayer(), systemNode))(
  'install.sh',
  () => {
    it('installs, serves, upgrades, and keeps the data when it goes', () => {
      const script = join(ROOT, 'test/deploy/install-in-root.sh');
      const { status, stdout, stderr } = spawnSync(script, [ROOT], { encoding: 'utf8' });
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain('ok: a working write');
      expect(stdout).toContain('ok: the data is kept');
      expect(stdout).toContain('ok: and again');
      expect(existsSync('/opt/memtrace/current')).toBe(false);
    }, 180_000);
  },
);

const isRoot = process.getuid?.() === 0 ? true : null;

describe.skipIf(missing('mount namespaces', isRoot, tool('unshare'), canLayer()))('the pod', () => {
  it('serves without privileges on a read-only root, and flushes at its stop', () => {
    const script = join(ROOT, 'test/deploy/run-locked-down.sh');
    const args = [ROOT, process.execPath];
    const { status, stdout, stderr } = spawnSync(script, args, { encoding: 'utf8' });
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain('ok: flushed at the stop');
    expect(stdout).toContain('ok: ran locked down');
  }, 60_000);
});

describe('deploy-arc.sh', () => {
  const script = join(ROOT, 'deploy/arc/deploy-arc.sh');
  const arc = (args: string[], token?: string) =>
    spawnSync(script, args, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...(token === undefined ? {} : { ARC_TOKEN: token }) },
    });

  it('writes settings and units once', () => {
    const root = mkdtempSync(join(tmpdir(), 'memtrace-arc-'));
    const args = ['--root', root, '--obs', 'obs://bucket/arc', '--memory', '3GB'];
    const first = arc(args, 'secret-token');
    expect(first.status, first.stderr).toBe(0);
    const again = arc(args);
    expect(again.stdout).toBe('nothing to change\n');
    expect(arc([...args.slice(0, -1), '4GB']).stdout).toContain('arc.toml');
    const toml = readFileSync(join(root, 'etc/arc/arc.toml'), 'utf8');
    expect(toml).toMatch(
      /\[wal\]\nenabled = true\ndirectory = "\/app\/data\/wal"\nsync_mode = "fsync"/,
    );
    expect(toml).not.toContain('secret-token');
    expect(statSync(join(root, 'etc/arc/arc.env')).mode & 0o777).toBe(0o600);
    const unit = readFileSync(join(root, 'etc/systemd/system/arc.service'), 'utf8');
    expect(unit).toContain('127.0.0.1:8000:8000');
    expect(unit).toContain('arc:26.09.1');
    expect(readFileSync(join(root, 'etc/systemd/system/arc-obs-sync.timer'), 'utf8')).toContain(
      'OnCalendar=hourly',
    );
  });

  it('runs a binary under a locked-down unit', () => {
    const root = mkdtempSync(join(tmpdir(), 'memtrace-arc-'));
    const done = arc(['--root', root, '--binary', '/usr/local/bin/arc'], 'secret-token');
    expect(done.status, done.stderr).toBe(0);
    const unit = readFileSync(join(root, 'etc/systemd/system/arc.service'), 'utf8');
    expect(unit).toContain('ExecStart=/usr/local/bin/arc');
    expect(unit).toContain('NoNewPrivileges=true');
    expect(existsSync(join(root, 'etc/systemd/system/arc-obs-sync.timer'))).toBe(false);
  });

  it('says what is missing', () => {
    const root = mkdtempSync(join(tmpdir(), 'memtrace-arc-'));
    expect(arc(['--root', root]).stderr).toContain('set ARC_TOKEN');
    expect(arc(['--root', root, '--obs', 's3://x'], 't').stderr).toContain('obs://bucket/prefix');
    expect(arc(['--what', 'x']).stderr).toContain('unknown option');
  });
});
