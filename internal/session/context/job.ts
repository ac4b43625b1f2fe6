/** What goes into the worker thread and what comes out. Plain data only. */

/** The groups of a context, in their order on the page. */
export const GROUPS = ['Recent Actions', 'Decisions Made', 'Errors', 'Other'] as const;
export type Group = (typeof GROUPS)[number];

export interface ContextJob {
  sessionId: string;
  /** Newest first. */
  entries: readonly JobEntry[];
  /** Memories that match in the window, shown or not. */
  matching: number;
  maxTokens: number;
  /** No text of an entry is longer than this many UTF-16 units; contents come already cut to it. */
  textUnits: number;
}

export interface JobEntry {
  group: Group;
  timeUs: number;
  eventType: string;
  importance: number;
  content: string;
  /** Whether `content` had to be cut to `textUnits`. */
  clipped: boolean;
  /** Of decisions, whose reasoning is shown; '' for the others. */
  metadataJson: string;
}

export interface RenderedContext {
  /** Markdown without a line end at its end; '' if not even the heading fits. */
  context: string;
  /** Memories shown. */
  memoryCount: number;
  /** Tokens of `context` in o200k_base, exactly. */
  tokenCount: number;
  /** Whether a memory is left out or shortened. */
  truncated: boolean;
  /** Matching memories that are not shown. */
  omittedCount: number;
}
