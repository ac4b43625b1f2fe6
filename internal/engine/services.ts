import type { Agents } from '../agent/agents.js';
import type { Auth } from '../auth/auth.js';
import type { Keys } from '../auth/keys.js';
import type { RateLimiter } from '../auth/rate-limit.js';
import type { Clock } from '../base/clock.js';
import type { FairPool } from '../base/fair-pool.js';
import type { UlidFactory } from '../base/ulid.js';
import type { Config } from '../config/table.js';
import type { Forget } from '../memory/forget.js';
import type { Listing } from '../memory/listing.js';
import type { Remember } from '../memory/remember.js';
import type { Retention } from '../memory/retention.js';
import type { SessionContext } from '../session/context.js';
import type { Sessions } from '../session/sessions.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Tracer } from '../telemetry/tracing.js';

/** The verbs of the product, as the API sees them. */
export interface Services {
  auth: Auth;
  /** Null: no rate limit. */
  limiter: RateLimiter | null;
  /** Bytes of request bodies in flight. */
  bodies: FairPool;
  keys: Keys;
  remember: Remember;
  listing: Listing;
  forget: Forget;
  retention: Retention;
  agents: Agents;
  sessions: Sessions;
  context: SessionContext;
}

export interface Readiness {
  state: 'ready' | 'degraded' | 'not ready';
  checks: Record<string, string>;
}

/**
 * What the API needs of the engine. It answers from the first moment, so services may be absent.
 */
export interface Host {
  readonly config: Config;
  readonly clock: Clock;
  readonly ulids: UlidFactory;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null unless traces are wanted. */
  readonly tracer: Tracer | null;
  /** Null while the log is replayed. */
  readonly services: Services | null;
  readonly draining: boolean;
  readiness(): Promise<Readiness>;
  uptimeMs(): number;
}
