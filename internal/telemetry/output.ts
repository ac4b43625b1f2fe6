import fs from 'node:fs';

/** The two calls of node:fs that an Output needs; another disk in tests. */
export interface OutputDisk {
  write(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void;
  writeSync(fd: number, bytes: Uint8Array, offset: number): number;
}

export interface OutputOptions {
  readonly fd: number;
  /** Bytes that may wait for a reader that does not read; lines beyond are lost. */
  readonly maxWaitingBytes: number;
  /** The line to write once there is room again after so many were lost. */
  readonly lostLine: (lines: number) => string;
  readonly disk?: OutputDisk;
}

/** Bytes of one write: below what a pipe holds, so that it is over quickly. */
const MAX_WRITE_BYTES = 16_384;

/** How long to wait for the reader of a full pipe, and how often at the end of the process. */
const RETRY_MS = 50;
const MAX_FINAL_RETRIES = 10;

/**
 * Writes lines to a descriptor in the background, several at once, in order.
 *
 * A reader that stops reading must not stop the server, a full disk must not end it, and neither
 * may keep it from exiting. The usual writer for pino retries a failed final write for ever.
 */
export class Output {
  private readonly options: OutputOptions;
  private readonly disk: OutputDisk;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private writing = false;
  private lost = 0;

  constructor(options: OutputOptions) {
    this.options = options;
    this.disk = options.disk ?? fs;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.waitingBytes + bytes > this.options.maxWaitingBytes) {
      this.lost++;
      return;
    }
    this.waiting.push(line);
    this.waitingBytes += bytes;
    if (!this.writing) this.writeNext();
  }

  /** Writes what waits before it returns, as far as the descriptor takes it. */
  flushSync(): void {
    // The write under way cannot be waited for: give it time, or lines would be mixed.
    if (this.writing) pause();
    let rest = this.take(Number.POSITIVE_INFINITY);
    for (let retries = 0; rest.length > 0 && retries <= MAX_FINAL_RETRIES; ) {
      try {
        rest = rest.subarray(this.disk.writeSync(this.options.fd, rest, 0));
      } catch (error) {
        if (!isBusy(error)) return;
        retries++;
        pause();
      }
    }
  }

  /** Whole lines of about `maxBytes`, and when none are left behind, word of the lost ones. */
  private take(maxBytes: number): Buffer {
    let count = 0;
    let size = 0;
    while (count < this.waiting.length && size < maxBytes) {
      size += Buffer.byteLength(this.waiting[count] ?? '');
      count++;
    }
    const lines = this.waiting.splice(0, count);
    this.waitingBytes -= size;
    if (this.lost > 0 && this.waiting.length === 0) {
      lines.push(this.options.lostLine(this.lost));
      this.lost = 0;
    }
    return Buffer.from(lines.join(''));
  }

  private writeNext(): void {
    const bytes = this.take(MAX_WRITE_BYTES);
    this.writing = bytes.length > 0;
    if (this.writing) this.writeFrom(bytes, 0);
  }

  private writeFrom(bytes: Buffer, offset: number): void {
    this.disk.write(this.options.fd, bytes, offset, (error, written) => {
      if (error !== null && isBusy(error)) {
        setTimeout(() => this.writeFrom(bytes, offset), RETRY_MS);
      } else if (error !== null) {
        this.lost += countLines(bytes.subarray(offset));
        this.writing = false;
      } else if (offset + written < bytes.length) {
        this.writeFrom(bytes, offset + written);
      } else {
        this.writeNext();
      }
    });
  }
}

/** Holds up this thread; those that write go on. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

function countLines(bytes: Buffer): number {
  return bytes.toString('latin1').split('\n').length - 1;
}
