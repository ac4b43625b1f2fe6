import { Agents } from '../agent/agents.js';
import { Auth } from '../auth/auth.js';
import { DEFAULT_ORG, Keys } from '../auth/keys.js';
import { RateLimiter } from '../auth/rate-limit.js';
import { FairPool } from '../base/fair-pool.js';
import { queriesAtOnce } from '../config/env.js';
import { Ingest } from '../ingest/ingest.js';
import { holderExists } from '../memory/exists.js';
import { Forget } from '../memory/forget.js';
import { Listing } from '../memory/listing.js';
import { Remember } from '../memory/remember.js';
import { Retention } from '../memory/retention.js';
import { Recall } from '../recall/recall.js';
import { createTokenCounter } from '../session/context/counter.js';
import { SessionContext } from '../session/context.js';
import { Sessions } from '../session/sessions.js';
import type { Upkeep } from '../upkeep/upkeep.js';
import { Backups } from './backup.js';
import type { Opened } from './opened.js';
import { Operator } from './operator.js';
import { scrubberOf } from './scrub.js';
import type { Host, Services } from './services.js';
import { tracedLog, tracedStore } from './tracing.js';
import { transferOf } from './transfer.js';
import { upkeepOf } from './upkeep.js';

/** The verbs over what is open. */
export interface Wired {
  services: Services;
  operator: Operator;
  /** Not started yet. */
  upkeep: Upkeep;
  /** Ends what runs by itself. */
  close(): Promise<void>;
  /** Once the store is closed: nothing asks the catalog any more. */
  ended(): Promise<void>;
}

/** How many flushes' worth of rows may wait before writers do. */
const BUFFERS_WAITING = 4;
const BODY_WAIT_MS = 1_000;

/** Makes the verbs; no logic. */
export function wire(host: Omit<Host, 'services'>, opened: Opened, cursorSecret: string): Wired {
  const { config, clock, ulids } = host;
  const { metadata, answers, deletions } = opened;
  const recall = recallOf(host, opened);
  const ingest = ingestOf(host, opened, recall);
  const auth = new Auth({
    keys: metadata.keys,
    clock,
    retentionDays: config.retention.days,
    anonymous: config.auth.enabled ? null : () => metadata.orgs.find(DEFAULT_ORG),
  });
  const limits = {
    contentBytes: config.limits.contentBytes,
    metadataBytes: config.limits.metadataBytes,
  };
  const dedup = { enabled: config.dedup.enabled, contentBytes: config.dedup.contentBytes };
  const sessions = new Sessions({
    clock,
    ulids,
    store: metadata.sessions,
    answers,
    metadataBytes: limits.metadataBytes,
  });
  const deadlineUs = config.erasure.deadlineMs * 1000;
  const upkeep = upkeepOf(host, opened);
  const forget = new Forget({
    clock,
    ulids,
    ingest,
    recall,
    deletions,
    metadata,
    deadlineUs,
    filesLeft: (deletion) => upkeep.filesLeft(deletion),
  });
  const context = new SessionContext(recall, sessions, createTokenCounter());
  const { requestsPerSecond, burst, inflightBytes } = config.limits;
  const services: Services = {
    auth,
    limiter: requestsPerSecond > 0 ? new RateLimiter(requestsPerSecond, burst, clock) : null,
    bodies: new FairPool({ capacity: inflightBytes, maxWaiting: 10_000, maxWaitMs: BODY_WAIT_MS }),
    keys: new Keys(metadata, clock, ulids, auth),
    remember: new Remember({ clock, ulids, ingest, answers, recall, limits, dedup }),
    listing: new Listing(recall, cursorSecret),
    forget,
    retention: new Retention(metadata.orgs, auth, config.retention.days),
    agents: new Agents({ clock, ulids, metadata, answers, recall }),
    sessions,
    context,
  };
  auth.start();
  host.metrics.observe('memtrace_inflight_bytes', () => services.bodies.inUse);
  const backups = new Backups(host, opened);
  const scrubber = scrubberOf(host, opened);
  scrubber?.start();
  const close = async () => {
    upkeep.stop();
    scrubber?.stop();
    await backups.close();
    await auth.stop();
    await context.close();
  };
  const transfer = transferOf(host, opened, { recall, ingest });
  const parts = { ...host, keys: services.keys, forget, auth, upkeep, backups, transfer };
  const operator = new Operator(opened, parts);
  const ended = async () => {
    await upkeep.ended();
    await scrubber?.ended();
  };
  return { services, operator, upkeep, close, ended };
}

function recallOf(host: Omit<Host, 'services'>, opened: Opened): Recall {
  const { clock, config, metrics } = host;
  const { recent, deletions, wal } = opened;
  const store = tracedStore(opened.store, host.tracer);
  const { maxConcurrent, maxQueued, timeoutMs } = config.query;
  const slots = new FairPool({
    capacity: queriesAtOnce(maxConcurrent),
    maxWaiting: maxQueued,
    maxWaitMs: timeoutMs,
  });
  metrics.observe('memtrace_queries_running', () => slots.inUse);
  metrics.observe('memtrace_queries_queued', () => slots.waiting);
  return new Recall({
    clock,
    recent,
    deletions,
    store,
    stream: wal.stream,
    slots,
    timeoutMs,
    onQuery: (kind, ms) => {
      metrics.queried(kind);
      metrics.queryTook(kind, ms / 1000);
    },
  });
}

function ingestOf(host: Omit<Host, 'services'>, opened: Opened, recall: Recall): Ingest {
  const { clock, config, metrics } = host;
  const { dedup, recent, deletions, answers, metadata, flusher } = opened;
  const { catalog } = metadata;
  const nowUs = () => clock.nowUs();
  const existsParts = { recent, recall, deletions, catalog, nowUs };
  return new Ingest({
    clock,
    log: tracedLog(opened.wal, host.tracer),
    dedup,
    recent,
    deletions,
    answers,
    exists: (orgId, holder) => holderExists(existsParts, orgId, holder),
    maxBufferedRows: BUFFERS_WAITING * Math.max(config.buffer.maxRows, 10_000),
    maxBufferedBytes: BUFFERS_WAITING * config.buffer.maxBytes,
    onDuplicates: (count) => metrics.dedupHit(count),
    onWrites: (count) => metrics.wrote(count),
    onAppended: () => flusher.poke(),
  });
}
