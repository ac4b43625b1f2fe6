import { expect, test } from 'vitest';
import { Output, type OutputDisk } from './output.js';

type Done = (error: NodeJS.ErrnoException | null, written: number) => void;

/** A descriptor whose every write waits for the test. */
class FakeDisk implements OutputDisk {
  private readonly written: number[] = [];
  readonly pending: { readonly bytes: Uint8Array; readonly done: Done }[] = [];
  syncErrors: NodeJS.ErrnoException[] = [];

  get text(): string {
    return Buffer.from(this.written).toString();
  }

  write(_fd: number, bytes: Uint8Array, offset: number, done: Done): void {
    this.pending.push({ bytes: bytes.subarray(offset), done });
  }

  writeSync(_fd: number, bytes: Uint8Array, offset: number): number {
    const error = this.syncErrors.shift();
    if (error !== undefined) throw error;
    this.written.push(...bytes.subarray(offset, offset + 7));
    return Math.min(7, bytes.length - offset);
  }

  /** Lets the next write take so many bytes. */
  take(count = Number.POSITIVE_INFINITY): void {
    const next = this.pending.shift();
    const bytes = next?.bytes.subarray(0, count) ?? new Uint8Array();
    this.written.push(...bytes);
    next?.done(null, bytes.length);
  }

  fail(code: string): void {
    this.pending.shift()?.done(failure(code), 0);
  }
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

function open(maxWaitingBytes = 1_000): { disk: FakeDisk; output: Output } {
  const disk = new FakeDisk();
  const lostLine = (lines: number) => `lost ${lines}\n`;
  return { disk, output: new Output({ fd: 1, maxWaitingBytes, lostLine, disk }) };
}

test('lines go out in order, several at once, also when writes are short', () => {
  const { disk, output } = open();
  for (let i = 0; i < 5; i++) output.write(`line ${i} ü\n`);
  expect(disk.pending).toHaveLength(1);
  while (disk.pending.length > 0) disk.take(3);
  expect(disk.text).toBe([0, 1, 2, 3, 4].map((i) => `line ${i} ü\n`).join(''));
});

test('one write takes about 16 KiB of whole lines', () => {
  const { disk, output } = open(1_000_000);
  const line = `${'x'.repeat(999)}\n`;
  for (let i = 0; i < 50; i++) output.write(line);
  const sizes: number[] = [];
  for (let next = disk.pending[0]; next !== undefined; next = disk.pending[0]) {
    sizes.push(next.bytes.length);
    disk.take();
  }
  expect(sizes).toEqual([1_000, 17_000, 17_000, 15_000]);
  expect(disk.text).toBe(line.repeat(50));
});

test('what waits for a reader is bounded, and what was lost is said', () => {
  const { disk, output } = open(20);
  output.write('first\n');
  for (let i = 0; i < 10; i++) output.write('123456789\n');
  disk.take();
  disk.take();
  expect(disk.text).toBe('first\n123456789\n123456789\nlost 8\n');
  expect(disk.pending).toHaveLength(0);
});

test('a full disk loses lines and nothing else', () => {
  const { disk, output } = open();
  output.write('a\n');
  output.write('b\n');
  disk.fail('ENOSPC');
  output.write('c\n');
  disk.take();
  disk.take();
  expect(disk.text).toBe('b\nc\nlost 1\n');
});

test('at the end what waits is written, or given up', () => {
  const { disk, output } = open();
  output.write('in flight\n');
  output.write('waiting one\n');
  output.write('waiting two\n');
  output.flushSync();
  expect(disk.text).toBe('waiting one\nwaiting two\n');

  output.write('more\n');
  disk.syncErrors = [failure('ENOSPC')];
  output.flushSync();
  expect(disk.text).toBe('waiting one\nwaiting two\n');
});
