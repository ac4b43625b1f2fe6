import { agentOperations } from './agents.js';
import { answerOperations } from './answers.js';
import { changeOperations } from './changes.js';
import type { Database } from './database.js';
import { deletionOperations } from './deletions.js';
import { keyOperations } from './keys.js';
import { locateOperations } from './locate.js';
import { orgOperations } from './orgs.js';
import { partitionOperations } from './partitions.js';
import { sessionOperations } from './sessions.js';
import { settingOperations } from './settings.js';
import { spanOperations } from './spans.js';
import { Staging } from './staging.js';
import { sweepOperations } from './sweep.js';

export interface OperationOptions {
  /** What was staged and not committed for so long was given up. */
  stagingIdleMs: number;
  monoMs: () => number;
}

/** Everything the worker can be asked, by noun and verb. */
export function openOperations(db: Database, options: OperationOptions) {
  const staging = new Staging(db, options.stagingIdleMs, options.monoMs);
  return {
    settings: settingOperations(db),
    orgs: orgOperations(db),
    keys: keyOperations(db),
    agents: agentOperations(db),
    sessions: sessionOperations(db),
    answers: answerOperations(db),
    deletions: deletionOperations(db),
    changes: changeOperations(db),
    partitions: partitionOperations(db, staging),
    spans: spanOperations(db, staging),
    locate: locateOperations(db),
    sweep: sweepOperations(db, staging),
  };
}

export type Operations = ReturnType<typeof openOperations>;
export type Noun = keyof Operations;
export type Verb<N extends Noun> = keyof Operations[N] & string;

/** The function behind a noun and a verb. */
export type Run<N extends Noun, V extends Verb<N>> = Operations[N][V] extends {
  run: infer F extends (...args: never[]) => unknown;
}
  ? F
  : never;
