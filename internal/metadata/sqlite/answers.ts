import type { Answer } from '../metadata.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';

/** Rows removed per transaction, so that other calls are served in between. */
const SWEEP_ROWS = 500;

export function answerOperations(db: Database) {
  return {
    find: read((orgId: string, route: string, key: string, notBeforeUs: number) => {
      const sql = `SELECT org_id AS orgId, route, key, body_hash AS bodyHash,
          created_us AS createdUs, answer
        FROM answers WHERE org_id = ? AND route = ? AND key = ? AND created_us >= ?`;
      return db.get<Answer>(sql, orgId, route, key, notBeforeUs) ?? null;
    }),
    put: write((answers: readonly Answer[]) => {
      for (const answer of answers) keepAnswer(db, answer);
    }),
    /** One step; how many rows went. */
    sweep: write((beforeUs: number) =>
      db.run(
        `DELETE FROM answers WHERE (org_id, route, key) IN (
           SELECT org_id, route, key FROM answers WHERE created_us < ? LIMIT ${SWEEP_ROWS})`,
        beforeUs,
      ),
    ),
  };
}

/** A younger answer takes the place of one that outlived its window; otherwise nothing changes. */
export function keepAnswer(db: Database, answer: Answer): void {
  db.run(
    `INSERT INTO answers (org_id, route, key, body_hash, created_us, answer)
     VALUES (@orgId, @route, @key, @bodyHash, @createdUs, @answer)
     ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash,
       created_us = excluded.created_us, answer = excluded.answer
     WHERE excluded.created_us > answers.created_us`,
    answer,
  );
}
