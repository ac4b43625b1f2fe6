/** The first ceiling of a wait between two tries, which doubles with each, and the last one. */
const BASE_MS = 200;
const CEILING_MS = 5_000;

/**
 * How long to wait before another try, in milliseconds: exponential with full jitter, and never
 * less than what the server asked for.
 * @param failures how many tries have failed, 1 or more
 */
export function backoffMs(
  failures: number,
  retryAfter = 0,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(CEILING_MS, BASE_MS * 2 ** Math.min(failures - 1, 30));
  return retryAfter + random() * ceiling;
}

/** Resolves after so many milliseconds; rejects at once with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
