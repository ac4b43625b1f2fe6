import { randomUUID } from 'node:crypto';
import {
  context,
  type DiagLogger,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { Attributes, StepRun, TracedRoute, Tracer, TracerOptions } from './tracing.js';

/** Spans that wait for the collector; further ones are dropped: a dead one costs nothing. */
const MAX_WAITING = 2_048;
const EXPORT_TIMEOUT_MS = 10_000;
const TROUBLE_EVERY_MS = 60_000;

/** The tracer over OpenTelemetry's SDK: the only door to it. */
export class OtlpTracer implements Tracer {
  private readonly provider: BasicTracerProvider;
  private readonly tracer: ReturnType<BasicTracerProvider['getTracer']>;
  private readonly propagator = new W3CTraceContextPropagator();

  constructor(options: TracerOptions) {
    const exporter = new OTLPTraceExporter({
      url: `${options.endpoint.replace(/\/+$/, '')}/v1/traces`,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    });
    const batches = new BatchSpanProcessor(exporter, {
      maxQueueSize: MAX_WAITING,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
    });
    this.provider = new BasicTracerProvider({
      resource: resourceFromAttributes({
        'service.name': options.serviceName,
        'service.version': options.version,
        'service.instance.id': randomUUID(),
      }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
      spanProcessors: [batches],
    });
    this.tracer = this.provider.getTracer('memtrace', options.version);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    diag.setLogger(troubleLogger(options.onTrouble), DiagLogLevel.WARN);
  }

  request<T extends { status: number }>(
    { method, path }: TracedRoute,
    header: (name: string) => string | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    const carrier = { traceparent: header('traceparent'), tracestate: header('tracestate') };
    const parent = this.propagator.extract(ROOT_CONTEXT, carrier, {
      keys: Object.keys,
      get: (from, key) => (from as Record<string, string | undefined>)[key],
    });
    const attributes = { 'http.request.method': method, 'http.route': path };
    const options = { kind: SpanKind.SERVER, attributes };
    return this.tracer.startActiveSpan(`${method} ${path}`, options, parent, (span) =>
      inSpan(span, async () => {
        const reply = await run();
        span.setAttribute('http.response.status_code', reply.status);
        if (reply.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        return reply;
      }),
    );
  }

  step<T>(name: string, attributes: Attributes, run: StepRun<T>): Promise<T> {
    return this.tracer.startActiveSpan(name, { attributes }, (span) =>
      inSpan(span, () => run((more) => span.setAttributes(more))),
    );
  }

  job<T>(name: string, attributes: Attributes, run: StepRun<T>): Promise<T> {
    return context.with(ROOT_CONTEXT, () => this.step(name, attributes, run));
  }

  begin(name: string): (failed: boolean) => void {
    const span = this.tracer.startSpan(name);
    return (failed) => {
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    };
  }

  async close(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.provider.shutdown().catch(() => undefined), timeout]);
    clearTimeout(timer);
    diag.disable();
    context.disable();
  }
}

async function inSpan<T>(span: Span, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    // The kind of error only: its text may hold a path or what a client wrote.
    const kind = error instanceof Error ? error.name : 'unknown';
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.setAttribute('error.type', kind);
    throw error;
  } finally {
    span.end();
  }
}

/** A collector that is away would fill the log: one line a minute says enough. */
function troubleLogger(onTrouble: (message: string) => void): DiagLogger {
  let toldMs = Number.NEGATIVE_INFINITY;
  const tell = (message: string) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < TROUBLE_EVERY_MS) return;
    toldMs = nowMs;
    onTrouble(message);
  };
  const quiet = () => undefined;
  return { error: tell, warn: tell, info: quiet, debug: quiet, verbose: quiet };
}
