import type { VerifyProgress } from '../../internal/store/parquet/verify.js';

const BAR = 20;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * One line that shows how far a check of files has come, at most 79 characters.
 * @param elapsedMs since it began: what is left is told from the bytes so far
 */
export function progressLine(progress: VerifyProgress, elapsedMs: number): string {
  const { files, ofFiles, bytes, ofBytes } = progress;
  const share = ofBytes === 0 ? 1 : Math.min(1, bytes / ofBytes);
  const full = Math.floor(share * BAR);
  const bar = `${'#'.repeat(full)}${'-'.repeat(BAR - full)}`;
  const percent = String(Math.floor(share * 100)).padStart(3);
  const [unit, name] = ofBytes < 10 * GIB ? [MIB, 'MiB'] : [GIB, 'GiB'];
  const size = `${(bytes / unit).toFixed(1)}/${(ofBytes / unit).toFixed(1)} ${name}`;
  return `[${bar}] ${percent} % ${files}/${ofFiles} files ${size} ${left(share, elapsedMs)}`;
}

/** Shows progress on a terminal, in one line that is written over and over. */
export class ProgressBar {
  private readonly out: NodeJS.WriteStream;
  private readonly startedMs = performance.now();
  private width = 0;

  constructor(out: NodeJS.WriteStream) {
    this.out = out;
  }

  show(progress: VerifyProgress): void {
    if (!this.out.isTTY) return;
    const line = progressLine(progress, performance.now() - this.startedMs);
    this.out.write(`\r${line.padEnd(this.width)}`);
    this.width = line.length;
  }

  /** Takes the line away again. */
  clear(): void {
    if (this.width > 0) this.out.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }
}

function left(share: number, elapsedMs: number): string {
  if (share >= 1) return 'done';
  if (share === 0) return 'ETA unknown';
  const seconds = Math.ceil((elapsedMs * (1 - share)) / share / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `ETA ${h}:${two(m)}:${two(s)}` : `ETA ${m}:${two(s)}`;
}
