/** The lines of a stream of UTF-8, without their ends; blank ones too. */
export async function* linesOf(
  body: ReadableStream<Uint8Array>,
  onProgress: () => void,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      onProgress();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
      if (done) break;
    }
    if (rest !== '') yield rest;
  } finally {
    // Not awaited: of a response that was cloned, it would wait for the reader of the clone.
    reader.cancel().catch(() => undefined);
  }
}

const CHUNK_CHARACTERS = 64 * 1024;

/** One JSON value a line, in pieces that are worth a system call each. */
export async function* jsonLines(
  values: Iterable<unknown> | AsyncIterable<unknown>,
): AsyncGenerator<{ text: string; lines: number }, void, undefined> {
  let text = '';
  let lines = 0;
  for await (const value of values) {
    text += `${JSON.stringify(value)}\n`;
    lines += 1;
    if (text.length < CHUNK_CHARACTERS) continue;
    yield { text, lines };
    text = '';
    lines = 0;
  }
  if (lines > 0) yield { text, lines };
}
