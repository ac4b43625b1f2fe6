import { expect, test } from 'vitest';
import { cgroupLimit, defaultQueryMemory } from './machine.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

function files(contents: Record<string, string>): (path: string) => string | null {
  return (path) => contents[path] ?? null;
}

test.each([
  ['a quarter of the machine', { memoryBytes: 2 * GIB, cgroupBytes: null }, 512 * MIB],
  ['a quarter of the container', { memoryBytes: 64 * GIB, cgroupBytes: GIB }, 256 * MIB],
  ['a limit above the machine', { memoryBytes: GIB, cgroupBytes: 8 * GIB }, 256 * MIB],
  ['at most 1 GiB', { memoryBytes: 64 * GIB, cgroupBytes: null }, GIB],
  ['at least 128 MiB', { memoryBytes: 64 * GIB, cgroupBytes: 200 * MIB }, 128 * MIB],
])('the query engine gets %s', (_, memory, bytes) => {
  expect(defaultQueryMemory({ ...memory, cores: 2 })).toBe(bytes);
});

test('of cgroup v2 the least limit on the way to the root holds', () => {
  const read = files({
    '/proc/self/cgroup': '0::/system.slice/memtrace.service\n',
    '/sys/fs/cgroup/system.slice/memtrace.service/memory.max': 'max\n',
    '/sys/fs/cgroup/system.slice/memory.max': `${GIB}\n`,
    '/sys/fs/cgroup/memory.max': `${2 * GIB}\n`,
  });
  expect(cgroupLimit(read)).toBe(GIB);
});

test('in a container whose host path is not visible the root counts', () => {
  const read = files({
    '/proc/self/cgroup': '0::/kubepods/pod1/abc\n',
    '/sys/fs/cgroup/memory.max': '4294967296\n',
  });
  expect(cgroupLimit(read)).toBe(4 * GIB);
});

test('cgroup v1 has its own files, and a huge number for no limit', () => {
  const membership = '5:cpu,cpuacct:/a\n3:memory:/docker/x\n1:name=systemd:/a\n';
  const limit = '/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes';
  expect(cgroupLimit(files({ '/proc/self/cgroup': membership, [limit]: '536870912\n' }))).toBe(
    512 * MIB,
  );
  expect(
    cgroupLimit(files({ '/proc/self/cgroup': membership, [limit]: '9223372036854771712\n' })),
  ).toBeNull();
});

test('without cgroups, or with unreadable files, there is no limit', () => {
  expect(cgroupLimit(files({}))).toBeNull();
  expect(
    cgroupLimit(() => {
      throw new Error('EACCES');
    }),
  ).toBeNull();
});
