import {
  type AgentInputItem,
  type FunctionTool,
  type Runner,
  type Session,
  tool,
} from '@openai/agents';
import type { Memtrace } from './client.js';
import { History, type HistoryItem } from './history.js';
import { agentIdOf, Recorder, type RecorderOptions, textOf } from './recorder.js';
import { memoryTools, type ToolOptions } from './tools.js';

export interface MemtraceSessionOptions {
  /** The agent whose memories the items are. */
  agentId: string;
  /** A conversation that goes on; without one, a new session is registered. */
  sessionId?: string;
}

/** A Session of the OpenAI Agents SDK that outlives the process. */
export class MemtraceSession implements Session {
  private readonly client: Memtrace;
  private readonly agentId: string;
  private sessionId: Promise<string> | undefined;

  constructor(client: Memtrace, options: MemtraceSessionOptions) {
    this.client = client;
    this.agentId = options.agentId;
    if (options.sessionId !== undefined) this.sessionId = Promise.resolve(options.sessionId);
  }

  getSessionId(): Promise<string> {
    this.sessionId ??= this.register();
    return this.sessionId;
  }

  async getItems(limit?: number): Promise<AgentInputItem[]> {
    const history = await this.history();
    return (await history.read(limit)) as AgentInputItem[];
  }

  async addItems(items: AgentInputItem[]): Promise<void> {
    const history = await this.history();
    await history.append(items.map(itemOf));
  }

  async popItem(): Promise<AgentInputItem | undefined> {
    const history = await this.history();
    return (await history.pop()) as AgentInputItem | undefined;
  }

  /** Removes the items. What hooks and tools recorded stays. */
  async clearSession(): Promise<void> {
    const history = await this.history();
    await history.clear();
  }

  private async register(): Promise<string> {
    try {
      const session = await this.client.sessions.create({ agent_id: this.agentId });
      return session.id;
    } catch (error) {
      this.sessionId = undefined;
      throw error;
    }
  }

  private async history(): Promise<History> {
    return new History(this.client, await this.getSessionId(), this.agentId);
  }
}

function itemOf(item: AgentInputItem): HistoryItem {
  const loose = item as { type?: string; role?: string; name?: string };
  if (loose.role !== undefined) {
    const { content } = item as { content?: unknown };
    return { value: item, text: textOfContent(content), eventType: `${loose.role}_message` };
  }
  return { value: item, text: textOfCall(item), eventType: loose.type ?? 'item' };
}

function textOfCall(item: AgentInputItem): string {
  if (item.type === 'function_call') return `${item.name}(${item.arguments})`;
  if (item.type === 'function_call_result') {
    return `${item.name} returned ${textOfContent(item.output)}`;
  }
  return item.type ?? 'item';
}

function textOfContent(content: unknown): string {
  if (typeof content === 'string') return content;
  const parts = Array.isArray(content) ? content : [content];
  return parts.map(textOfPart).join('\n');
}

function textOfPart(part: unknown): string {
  const { text, transcript, refusal, type } = part as Record<string, unknown>;
  return String(text ?? transcript ?? refusal ?? `(${type ?? 'data'})`);
}

/** The part of `tool` that is used here: its types infer too much from a schema that is data. */
const toolOf = tool as unknown as (options: {
  name: string;
  description: string;
  parameters: object;
  strict: false;
  execute: (input: Record<string, unknown>) => Promise<string>;
}) => FunctionTool;

/** memtrace_remember, memtrace_recall and memtrace_decide as tools of an Agent. */
export function memtraceTools(client: Memtrace, options: ToolOptions): FunctionTool[] {
  return memoryTools(client, options).map(({ name, description, parameters, execute }) => {
    const loose = { ...parameters, additionalProperties: true };
    return toolOf({ name, description, parameters: loose, strict: false, execute });
  });
}

/** What the SDK answers a model whose tool threw, unless the tool says otherwise. */
const TOOL_ERROR = 'An error occurred while running the tool';

/**
 * Records what the runs of a Runner do: tool calls and their results, handoffs, final outputs and
 * errors. `run` is that of the runner, with the errors that it throws recorded.
 */
export class RunRecorder {
  private readonly recorder: Recorder;
  private readonly runner: Runner;
  readonly run: Runner['run'];

  constructor(client: Memtrace, runner: Runner, options: RecorderOptions) {
    this.recorder = new Recorder(client, options);
    this.runner = runner;
    this.run = ((...call: Parameters<Runner['run']>) => this.observed(call)) as Runner['run'];
    this.listen();
  }

  /** Resolves when all that was recorded is durable. */
  flush(): Promise<void> {
    return this.recorder.flush();
  }

  close(): Promise<void> {
    return this.recorder.close();
  }

  private listen(): void {
    const { runner, recorder } = this;
    runner.on('agent_tool_start', (_context, agent, { name }, { toolCall }) => {
      const input = 'arguments' in toolCall ? toolCall.arguments : undefined;
      const details = { tool: name, call_id: callId(toolCall), input };
      recorder.event(
        'tool_call',
        `${name}(${textOf(input ?? '')})`,
        details,
        agentIdOf(agent.name),
      );
    });
    runner.on('agent_tool_end', (_context, agent, { name }, result, { toolCall }) => {
      const details = { tool: name, call_id: callId(toolCall) };
      const output = textOf(result);
      const agentId = agentIdOf(agent.name);
      if (output.startsWith(TOOL_ERROR)) recorder.error(`${name}: ${output}`, details, agentId);
      else recorder.event('tool_result', `${name} returned ${output}`, details, agentId);
    });
    runner.on('agent_handoff', (_context, from, to) => {
      const details = { from: from.name, to: to.name };
      recorder.event(
        'handoff',
        `${from.name} handed over to ${to.name}`,
        details,
        agentIdOf(from.name),
      );
    });
    runner.on('agent_end', (_context, agent, output) => {
      recorder.event('agent_output', textOf(output), { agent: agent.name }, agentIdOf(agent.name));
    });
  }

  private async observed(call: Parameters<Runner['run']>): Promise<unknown> {
    const agentId = agentIdOf(call[0].name);
    try {
      const result: unknown = await this.runner.run(...call);
      const { completed } = result as { completed?: Promise<void> };
      // Of a stream, errors come later; whoever reads it gets them too.
      completed?.catch((error: unknown) =>
        this.recorder.error(error, { run: call[0].name }, agentId),
      );
      return result;
    } catch (error) {
      this.recorder.error(error, { run: call[0].name }, agentId);
      throw error;
    }
  }
}

function callId(toolCall: object): unknown {
  return 'callId' in toolCall ? toolCall.callId : undefined;
}
