import { BaseCallbackHandler } from '@langchain/core/callbacks/base';
import { BaseListChatMessageHistory } from '@langchain/core/chat_history';
import type { Serialized } from '@langchain/core/load/serializable';
import {
  type BaseMessage,
  mapChatMessagesToStoredMessages,
  mapStoredMessagesToChatMessages,
  type StoredMessage,
} from '@langchain/core/messages';
import type { Generation, LLMResult } from '@langchain/core/outputs';
import { type StructuredToolInterface, tool } from '@langchain/core/tools';
import type { Memtrace } from './client.js';
import { History } from './history.js';
import { Recorder, type RecorderOptions, textOf } from './recorder.js';
import { memoryTools, type ToolOptions } from './tools.js';

export interface ChatHistoryOptions {
  /** The agent whose memories the messages are. */
  agentId: string;
  /** The conversation. It need not be registered. */
  sessionId: string;
}

/** A chat message history of LangChain that outlives the process. */
export class MemtraceChatMessageHistory extends BaseListChatMessageHistory {
  lc_namespace = ['memtrace', 'chat_history'];
  private readonly history: History;

  constructor(client: Memtrace, options: ChatHistoryOptions) {
    super();
    this.history = new History(client, options.sessionId, options.agentId);
  }

  /** All messages, the oldest first. */
  async getMessages(): Promise<BaseMessage[]> {
    return mapStoredMessagesToChatMessages((await this.history.read()) as StoredMessage[]);
  }

  addMessage(message: BaseMessage): Promise<void> {
    return this.addMessages([message]);
  }

  override async addMessages(messages: BaseMessage[]): Promise<void> {
    const stored = mapChatMessagesToStoredMessages(messages);
    const items = messages.map((message, i) => ({
      value: stored[i],
      text: message.text || textOf(message.content),
      eventType: `${message.type}_message`,
    }));
    await this.history.append(items);
  }

  override clear(): Promise<void> {
    return this.history.clear();
  }
}

/**
 * Records what runs do: tool calls and their results, what models said, the ends of whole runs, and
 * errors. `flush` it before the process ends.
 */
export class MemtraceCallbackHandler extends BaseCallbackHandler {
  name = 'memtrace';
  private readonly recorder: Recorder;
  private readonly tools = new Map<string, string>();

  constructor(client: Memtrace, options: RecorderOptions) {
    super();
    this.recorder = new Recorder(client, options);
  }

  /** Resolves when all that was recorded is durable. */
  flush(): Promise<void> {
    return this.recorder.flush();
  }

  close(): Promise<void> {
    return this.recorder.close();
  }

  override handleToolStart(
    serialized: Serialized,
    input: string,
    ...[runId, , , , runName]: [string, string?, string[]?, Record<string, unknown>?, string?]
  ): void {
    const name = runName ?? serialized.id.at(-1) ?? 'tool';
    this.tools.set(runId, name);
    this.recorder.event('tool_call', `${name}(${textOf(input)})`, { tool: name, run_id: runId });
  }

  override handleToolEnd(output: unknown, runId: string): void {
    const name = this.toolOf(runId);
    const { content } = (output ?? {}) as { content?: unknown };
    const text = `${name} returned ${textOf(content ?? output)}`;
    this.recorder.event('tool_result', text, { tool: name, run_id: runId });
  }

  override handleToolError(error: unknown, runId: string): void {
    this.recorder.error(error, { tool: this.toolOf(runId), run_id: runId });
  }

  override handleLLMEnd(output: LLMResult, runId: string): void {
    const text = output.generations.flat().map(textOfGeneration).join('\n');
    if (text.trim() !== '') this.recorder.event('model_output', text, { run_id: runId });
  }

  override handleLLMError(error: unknown, runId: string): void {
    this.recorder.error(error, { run_id: runId });
  }

  /** Chains within chains fail together: the outermost one tells it. */
  override handleChainError(error: unknown, runId: string, parentRunId?: string): void {
    if (parentRunId === undefined) this.recorder.error(error, { run_id: runId, run: 'whole' });
  }

  override handleChainEnd(_outputs: unknown, runId: string, parentRunId?: string): void {
    if (parentRunId === undefined) this.recorder.event('run_end', 'run ended', { run_id: runId });
  }

  private toolOf(runId: string): string {
    const name = this.tools.get(runId) ?? 'tool';
    this.tools.delete(runId);
    return name;
  }
}

/** Chat models may say it in the message only. */
function textOfGeneration(generation: Generation): string {
  const { message } = generation as { message?: BaseMessage };
  return generation.text || (message?.text ?? '');
}

/** memtrace_remember, memtrace_recall and memtrace_decide as tools. */
export function memtraceTools(client: Memtrace, options: ToolOptions): StructuredToolInterface[] {
  return memoryTools(client, options).map(({ name, description, parameters, execute }) =>
    tool((input) => execute(input as Record<string, unknown>), {
      name,
      description,
      schema: { ...parameters },
    }),
  ) as unknown as StructuredToolInterface[];
}
