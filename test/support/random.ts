/** Random choices that a printed seed replays. */
export interface Random {
  readonly seed: number;
  /** 0 <= x < 1 */
  next(): number;
  /** low <= n <= high, both whole */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Some distinct members, in their order; none is possible. */
  some<T>(from: readonly T[], probability: number): T[];
}

/**
 * mulberry32 (Tommy Ettinger, public domain): 32 bits of state are plenty for choosing test cases.
 */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed,
    next,
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (probability) => next() < probability,
    pick: <T>(from: readonly T[]): T => {
      const chosen = from[Math.floor(next() * from.length)];
      if (chosen === undefined) throw new Error('pick from nothing');
      return chosen;
    },
    some: (from, probability) => from.filter(() => next() < probability),
  };
}

/** A seed from the clock, when the caller gave none. */
export function freshSeed(): number {
  return (Date.now() ^ (process.pid << 16)) >>> 0;
}
