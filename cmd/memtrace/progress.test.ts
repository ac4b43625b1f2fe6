import { expect, test } from 'vitest';
import { ProgressBar, progressLine } from './progress.js';

const MIB = 2 ** 20;

test('a line shows files, bytes and the time that is left', () => {
  const quarter = { files: 3, ofFiles: 12, bytes: 50 * MIB, ofBytes: 200 * MIB };
  expect(progressLine(quarter, 30_000)).toBe(
    '[#####---------------]  25 % 3/12 files 50.0/200.0 MiB ETA 1:30',
  );
  expect(progressLine(quarter, 4_000_000)).toMatch(/ETA 3:20:00$/);
  const none = { files: 0, ofFiles: 2, bytes: 0, ofBytes: 10 };
  expect(progressLine(none, 5_000)).toMatch(/^\[-{20}\] {3}0 % .* ETA unknown$/);
  const all = { files: 2, ofFiles: 2, bytes: 10, ofBytes: 10 };
  expect(progressLine(all, 5_000)).toMatch(/^\[#{20}\] 100 % .* done$/);
  expect(progressLine({ files: 0, ofFiles: 0, bytes: 0, ofBytes: 0 }, 1)).toMatch(/ 100 % .*done$/);
  const large = { files: 99_999, ofFiles: 99_999, bytes: 9e11, ofBytes: 9.9e11 };
  expect(progressLine(large, 1e9).length).toBeLessThan(80);
});

test('a bar writes over itself on a terminal, and nothing elsewhere', () => {
  const written: string[] = [];
  const out = { isTTY: true, write: (text: string) => written.push(text) > 0 };
  const bar = new ProgressBar(out as never);
  bar.show({ files: 10, ofFiles: 12, bytes: 1, ofBytes: 10 });
  bar.show({ files: 12, ofFiles: 12, bytes: 10, ofBytes: 10 });
  bar.clear();
  const [first, second, last] = written;
  expect(second.length).toBe(first.length);
  expect(last).toBe(`\r${' '.repeat(second.trimEnd().length - 1)}\r`.padEnd(last.length));
  out.isTTY = false;
  written.length = 0;
  bar.show({ files: 1, ofFiles: 1, bytes: 1, ofBytes: 1 });
  bar.clear();
  expect(written).toEqual([]);
});
