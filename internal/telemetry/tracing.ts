/**
 * Traces, as the other rooms see them. Off by default: then there is no tracer at all, and nothing
 * of OpenTelemetry is loaded. Attributes follow its semantic conventions; none ever holds an
 * organization, a key, an id or anything that a client wrote.
 */
export type Attributes = Record<string, string | number | boolean>;

export interface Tracer {
  /** Runs a request in a span of its own, below that of the caller's `traceparent`. */
  request<T extends { status: number }>(
    route: TracedRoute,
    header: (name: string) => string | undefined,
    run: () => Promise<T>,
  ): Promise<T>;
  /** Runs a step of a request in a span below the one that is current. */
  step<T>(name: string, attributes: Attributes, run: StepRun<T>): Promise<T>;
  /** Runs background work as a trace by itself, whoever set it off. */
  job<T>(name: string, attributes: Attributes, run: StepRun<T>): Promise<T>;
  /**
   * The same for a step whose promise must stay as it is: begins it, and answers what ends it.
   */
  begin(name: string): (failed: boolean) => void;
  /** Sends what is waiting, for at most so long. Never rejects. */
  close(timeoutMs: number): Promise<void>;
}

/** `note` adds what is known only when the step has run. */
export type StepRun<T> = (note: (attributes: Attributes) => void) => Promise<T>;

export interface TracedRoute {
  method: string;
  /** The template, e.g. /api/v1/memories/:id. */
  path: string;
}

export interface TracerOptions {
  /** Base URL of a collector that takes OTLP over HTTP. */
  endpoint: string;
  /** Share of the traces begun here that are recorded; a caller's decision is kept. */
  sampleRatio: number;
  serviceName: string;
  version: string;
  /** Told of what goes wrong with the sending, now and then. */
  onTrouble(message: string): void;
}
