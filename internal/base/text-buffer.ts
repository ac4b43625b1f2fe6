/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;
const FIRST_BYTES = 256 * 1024;
/** A buffer that one huge text made larger than this is not kept. */
const KEPT_BYTES = 4 * 1024 * 1024;

/**
 * Texts as bytes, one after another. Joining them as strings first costs twice as much: one letter
 * beyond Latin-1 makes the whole string two bytes a letter, and it is walked once more to encode.
 * Used again and again: whoever fills it takes the bytes before others get their turn.
 */
export class TextBuffer {
  private bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  private used = 0;

  /** The bytes written since the last `take`. */
  get length(): number {
    return this.used;
  }

  /** Any text, as UTF-8. */
  text(text: string): void {
    this.reserve(text.length * MAX_BYTES_PER_UNIT);
    this.used += this.bytes.write(text, this.used);
  }

  /** A text that the caller knows to be ASCII: a third of the time. */
  ascii(text: string): void {
    this.reserve(text.length);
    this.used += this.bytes.write(text, this.used, 'latin1');
  }

  /** A copy of all that was written; the next text begins anew. */
  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.used);
    this.bytes.copy(taken, 0, 0, this.used);
    this.used = 0;
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return taken;
  }

  private reserve(more: number): void {
    if (this.used + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.used + more));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}
