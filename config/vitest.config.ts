import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['cmd/**/*.test.ts', 'internal/**/*.test.ts', 'test/**/*.test.ts'],
    // Suites that start servers and kill them: generous, as CI machines are shared.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most of them wait for servers, disks and timers of their own.
    maxWorkers: 2,
  },
});
