import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes: begun last, one of them would run alone at the end. */
const LONG = ['test/crash/', 'test/e2e/model', 'test/sdk/python'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((path) => moduleId.includes(path));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['cmd/**/*.test.ts', 'internal/**/*.test.ts', 'test/**/*.test.ts'],
    // Suites that start servers and kill them: generous, as CI machines are shared.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    // Most of them wait for servers, disks and timers of their own.
    maxWorkers: 2,
  },
});
