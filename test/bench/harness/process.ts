import { readFileSync } from 'node:fs';

/** Resident memory of a process in bytes, from /proc. NaN where there is none. */
export function rssOf(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? Number.NaN) * 1_024;
  } catch {
    return Number.NaN;
  }
}

/** Looks at a process every 20 ms until stopped; stop() gives the most memory it had, in bytes. */
export function watchRss(pid: number): { stop(): number } {
  let most = rssOf(pid);
  const timer = setInterval(() => {
    const now = rssOf(pid);
    if (now > most) most = now;
  }, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return most;
    },
  };
}
