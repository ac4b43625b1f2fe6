import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';

/** How often a file that is still being written is looked at again. */
const TRIES = 30;

/**
 * The files below a directory that hold a text, in their bytes or, for Parquet, in any decoded
 * value. What an erasure promises is held against this and not against what the server says.
 */
export async function filesWith(directory: string, text: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const found: string[] = [];
  try {
    for (const path of filesBelow(directory)) {
      if (await settledHas(path)) found.push(path);
    }
    return found;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }

  /** A server at work finishes and removes files meanwhile: one that is gone holds nothing. */
  async function settledHas(path: string): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        const raw = readFileSync(path).includes(text);
        return raw || (path.endsWith('.parquet') && (await decodedHas(path)));
      } catch (error) {
        if (!existsSync(path)) return false;
        if (tries === TRIES) throw error;
        await sleep(100);
      }
    }
  }

  async function decodedHas(path: string): Promise<boolean> {
    const sql =
      `SELECT count(*)::INTEGER FROM read_parquet('${path}') t ` +
      'WHERE contains(to_json(t)::VARCHAR, $1)';
    const rows = await (await connection.run(sql, [text])).getRows();
    return Number(rows[0]?.[0]) > 0;
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
