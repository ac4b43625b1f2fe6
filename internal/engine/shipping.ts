import { HeldLog } from '../backup/held-log.js';
import { type Incarnation, openIncarnation, readMark } from '../backup/incarnation.js';
import { Lag } from '../backup/lag.js';
import type { Manifest } from '../backup/manifest.js';
import { prune } from '../backup/prune.js';
import { pruneShipped } from '../backup/prune-shipped.js';
import { type Made, Schedule } from '../backup/schedule.js';
import { Shipper, startFrom } from '../backup/shipper.js';
import { entriesOf } from '../backup/target.js';
import { formatUs, US_PER_MS, US_PER_SECOND } from '../base/clock.js';
import type { SegmentLog } from '../log/segments/segment-log.js';
import { openObjects, s3SettingsOf } from '../objects/open.js';
import { ClockTrust } from '../upkeep/clock-trust.js';
import { type BackupOrder, refuseInside } from './backup.js';
import type { DataDir } from './datadir.js';
import type { Opened } from './opened.js';
import type { Host } from './services.js';

type ShippingHost = Pick<Host, 'config' | 'clock' | 'ulids' | 'log' | 'metrics'>;

const LOOK_MS = 1_000;
/** A shipment begins after this part of `wal_every`: the rest is for sending it. */
const BEGIN_AFTER = 3 / 4;
/** How often erasures and changes are sent where the log is not. */
const LEDGER_MS = 60_000;
const FIRST_BACKUP_MS = 5_000;
const LAST_PASS_MS = 10_000;
/** An erasure waits so long for the target before its bytes leave the log all the same. */
const ERASURE_WAIT_MS = 30_000;
const WARN_AGAIN_MS = 60_000;
/** How long wall and monotonic clock must agree before anything is removed. */
const TRUST_AFTER_MS = 3_600_000;
const TRUST_LOOK_MS = 60_000;
const GRACE_MS = 24 * 3_600_000;
const HOUR_US = 3_600 * US_PER_SECOND;

/** What goes to the backup target by itself: the log as it grows, and backups on a schedule. */
export class Shipping {
  private readonly host: ShippingHost;
  private readonly lag = new Lag();
  private readonly timers: NodeJS.Timeout[] = [];
  private incarnation: Incarnation | null = null;
  private shipper: Shipper | null = null;
  private schedule: Schedule | null = null;
  private catalogPosition = 0;
  private stream = '';
  private syncedBytes = 0;
  private shippedBytes = 0;
  private newest: Pick<Manifest, 'createdUs' | 'totals'> | null = null;
  private warnedMs = Number.NEGATIVE_INFINITY;
  private stopped = false;
  private readonly trust: ClockTrust;

  constructor(host: ShippingHost) {
    this.host = host;
    this.trust = new ClockTrust(host.clock, TRUST_AFTER_MS);
  }

  /** So many bytes of the log are durable now. */
  synced(bytes: number): void {
    this.syncedBytes += bytes;
  }

  /**
   * The log for those who free its space. Called once, before the first release.
   *
   * @param position up to which the catalog has the log
   */
  hold(wal: SegmentLog, dir: DataDir, position: number): HeldLog {
    const { config, log } = this.host;
    const { target, walEveryMs, walHoldSizeBytes } = config.backup;
    this.catalogPosition = position;
    this.stream = wal.stream;
    let through = Number.POSITIVE_INFINITY;
    // Also without a target: a backup that is made by hand says whose it is.
    const incarnation = openIncarnation(dir.root, () => this.fork(null, 0));
    if (target !== '') {
      refuseInside(dir.root, target);
      this.incarnation = incarnation;
      const mark = startFrom(readMark(dir.root), incarnation.id, wal.stream);
      if (walEveryMs > 0) through = mark ?? position;
    }
    const options = {
      through,
      maxBytes: walHoldSizeBytes,
      onGivenUp: (upTo: number) => {
        const what = 'the log is too large to wait for the backup target: a part was let go unsent';
        log.error({ position: upTo, bytes: wal.health.bytes }, what);
      },
    };
    return new HeldLog(wal, options, () => within(ERASURE_WAIT_MS, this.ship()));
  }

  /** Begins; without a target there is nothing to do. @param backup makes one */
  async start(opened: Opened, backup: (order: BackupOrder) => Promise<unknown>): Promise<void> {
    const { backup: settings } = this.host.config;
    const { metadata } = opened;
    const { incarnation } = this;
    await metadata.changes.track(incarnation !== null);
    if (incarnation === null) return;
    this.shipper = this.shipperOf(opened, incarnation);
    const shipsLog = settings.walEveryMs > 0;
    const everyMs = shipsLog ? settings.walEveryMs * BEGIN_AFTER : LEDGER_MS;
    this.repeat(everyMs);
    const look = () => this.lag.look(opened.wal.durable, this.host.clock.monoMs());
    if (shipsLog) this.timers.push(setInterval(look, LOOK_MS).unref());
    this.schedule = this.scheduleOf(async (kind) => {
      await backup({ to: settings.target, kind });
    });
    this.schedule.start(FIRST_BACKUP_MS);
    this.timers.push(setInterval(() => this.trust.look(), TRUST_LOOK_MS).unref());
    this.observe(shipsLog);
  }

  /** Nothing begins any more. */
  stop(): void {
    this.stopped = true;
    this.schedule?.stop();
    for (const timer of this.timers) clearTimeout(timer);
  }

  /** After the last append: sends what is left, if that can be done soon. */
  async close(): Promise<void> {
    await this.schedule?.ended();
    if (this.shipper === null) return;
    await within(LAST_PASS_MS, this.ship()).catch(() => undefined);
  }

  private fork(from: Incarnation | null, position: number): Incarnation {
    const nowUs = this.host.clock.nowUs();
    const id = this.host.ulids.next(Math.floor(nowUs / US_PER_MS));
    return { id, parent: from?.id ?? null, position, createdUs: nowUs, untilUs: null };
  }

  private shipperOf({ wal, held, dir, deletions, metadata }: Opened, incarnation: Incarnation) {
    const { config, clock, log, metrics } = this.host;
    return new Shipper({
      open: () => this.target(),
      log: wal,
      dataDir: dir.root,
      clock,
      incarnation,
      fork: (from, position) => {
        log.warn(
          { position },
          'the target has more of the log than there is: a new history begins',
        );
        return this.fork(from, position);
      },
      shipsLog: config.backup.walEveryMs > 0,
      catalogPosition: this.catalogPosition,
      pending: () => [...deletions.all().values()].flat(),
      everything: async () => ({
        erasures: await metadata.deletions.all(),
        revocations: await metadata.changes.gone(),
      }),
      changes: metadata.changes,
      onShipped: async (position) => {
        this.lag.shipped(position);
        await held.shipped(position);
      },
      onGap: (from, to) => {
        metrics.backupGap();
        log.error({ from, to }, 'records of the log are not in the backup target');
        this.schedule?.ask();
      },
      onChangesLost: () => {
        metrics.backupGap();
        log.error({}, 'changes of keys, agents and sessions are not in the backup target');
        this.schedule?.ask();
      },
    });
  }

  private repeat(everyMs: number): void {
    const { clock } = this.host;
    const once = async () => {
      const began = clock.monoMs();
      await this.ship().catch((error: unknown) => this.failed(error));
      if (this.stopped) return;
      const left = Math.max(0, everyMs - (clock.monoMs() - began));
      this.timers[0] = setTimeout(once, left).unref();
    };
    this.timers[0] = setTimeout(once, Math.min(everyMs, LOOK_MS)).unref();
  }

  private async ship(): Promise<void> {
    const before = this.syncedBytes;
    await this.shipper?.run();
    this.shippedBytes = Math.max(this.shippedBytes, before);
  }

  private failed(error: unknown): void {
    if (this.stopped) return;
    const { clock, log, metrics } = this.host;
    metrics.backupFailed();
    if (clock.monoMs() - this.warnedMs < WARN_AGAIN_MS) return;
    this.warnedMs = clock.monoMs();
    log.warn({ err: error }, 'the log cannot be sent to the backup target; it is tried again');
  }

  private target() {
    const { backup } = this.host.config;
    return openObjects(backup.target, s3SettingsOf(backup));
  }

  private scheduleOf(make: (kind: Manifest['kind']) => Promise<void>): Schedule {
    const { config, clock, log, metrics } = this.host;
    return new Schedule({
      clock,
      settings: config.backup,
      made: () => this.made(),
      make,
      tidy: () => this.tidy(),
      onFailed: (error, retryInMs) => {
        metrics.backupFailed();
        log.error({ err: error, retry_in_ms: retryInMs }, 'the backup failed; it is tried again');
      },
    });
  }

  private async made(): Promise<Made[]> {
    const entries = await entriesOf(await this.target());
    const made = entries.flatMap(({ manifest }) => (manifest === null ? [] : [manifest]));
    const [newest = null] = made.toSorted((a, b) => b.createdUs - a.createdUs);
    this.newest = newest && { createdUs: newest.createdUs, totals: newest.totals };
    // Only those that what is sent now goes on from: any other does not save it.
    const { id, parent } = this.shipper?.life ?? { id: '', parent: null };
    return made
      .filter(({ incarnation }) => incarnation === id || incarnation === (parent ?? id))
      .filter(({ stream }) => stream === this.stream)
      .map(({ createdUs, kind }) => ({ createdUs, kind }));
  }

  private async tidy(): Promise<void> {
    const { config, clock, log } = this.host;
    // A clock that jumps ahead makes every backup look old.
    if (!this.trust.look()) return;
    const { keepHourly, keepDaily, keepWeekly, deleteAfterDays } = config.backup;
    const objects = await this.target();
    const nowUs = clock.nowUs();
    const notBeforeUs = deleteAfterDays === 0 ? 0 : nowUs - deleteAfterDays * 24 * HOUR_US;
    const policy = { hourly: keepHourly, daily: keepDaily, weekly: keepWeekly, notBeforeUs };
    const report = await prune(objects, { policy, nowUs, graceMs: GRACE_MS, dryRun: false });
    const sent = await pruneShipped(objects, nowUs - keepHourly * HOUR_US);
    const { removed, objects: files, left } = report;
    if (removed.length + files + sent === 0) return;
    log.info({ removed, files, shipped: sent, left }, 'removed old backups');
  }

  private observe(shipsLog: boolean): void {
    const { metrics, clock } = this.host;
    metrics.observe('memtrace_backup_last_success_timestamp_seconds', () =>
      this.newest === null ? 0 : this.newest.createdUs / US_PER_SECOND,
    );
    metrics.observe('memtrace_backup_last_size_bytes', () => this.newest?.totals.bytes ?? 0);
    if (!shipsLog) return;
    metrics.observe('memtrace_backup_wal_lag_seconds', () => this.lag.ageMs(clock.monoMs()) / 1000);
    metrics.observe('memtrace_backup_unshipped_bytes', () => this.syncedBytes - this.shippedBytes);
    const { target, walEveryMs } = this.host.config.backup;
    const since = formatUs(clock.nowUs());
    this.host.log.info({ target, every_ms: walEveryMs, since }, 'the log is sent to the target');
  }
}

/** Rejects if `work` takes longer; it goes on all the same. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${ms} ms`)), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
