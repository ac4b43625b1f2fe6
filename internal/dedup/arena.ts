/**
 * The memory of all filters: slots of one size in a few big shared buffers.
 *
 * Filters come and go with every merge. As ordinary buffers of 0.1 to 25 MB they would leave holes
 * in the C heap and wait for a garbage collection, at twice the memory that is in use. Slots are
 * used again at once, the threads share them without a copy, and pages never touched cost nothing.
 */
/** Fingerprints of a full partition: 36 segments of 4,096. */
export const SLOT_PRINTS = 147_456;
/** Ten bits each, which is 45 pages. */
export const SLOT_BYTES = (SLOT_PRINTS * 5) / 4;
/** 60 MiB a bank, for 42 million keys. */
export const BANK_SLOTS = 340;

/** Slots as another thread needs them. */
export interface FilterRoom {
  banks: SharedArrayBuffer[];
  slots: number[];
}

export class FilterArena {
  readonly views: Uint8Array[] = [];
  private readonly banks: SharedArrayBuffer[] = [];
  /** Free slots; the one freed last is taken first, as its pages are there already. */
  private readonly free: number[] = [];

  take(count: number): FilterRoom {
    while (this.free.length < count) this.addBank();
    return { banks: this.banks, slots: this.free.splice(this.free.length - count) };
  }

  give(slots: readonly number[]): void {
    this.free.push(...slots);
  }

  get usedBytes(): number {
    return (this.banks.length * BANK_SLOTS - this.free.length) * SLOT_BYTES;
  }

  private addBank(): void {
    const first = this.banks.length * BANK_SLOTS;
    const bank = new SharedArrayBuffer(BANK_SLOTS * SLOT_BYTES);
    this.banks.push(bank);
    this.views.push(new Uint8Array(bank));
    const fresh = Array.from({ length: BANK_SLOTS }, (_, i) => first + BANK_SLOTS - 1 - i);
    this.free.unshift(...fresh);
  }
}

/** The slots of a room as byte arrays, in order. */
export function openRoom({ banks, slots }: FilterRoom): Uint8Array[] {
  return slots.map((slot) => {
    const bank = banks[Math.floor(slot / BANK_SLOTS)];
    return new Uint8Array(bank, (slot % BANK_SLOTS) * SLOT_BYTES, SLOT_BYTES);
  });
}
