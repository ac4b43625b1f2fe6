import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.js';
import { UlidFactory } from '../../base/ulid.js';
import type { Catalog, Metadata } from '../../metadata/metadata.js';
import { openSqliteMetadata } from '../../metadata/sqlite/sqlite.js';
import { NOW_US } from '../model.suite.js';
import type { Damage } from './guard.js';
import { openParquetStore, type ParquetStore } from './parquet.js';

/** An embedded store on a directory and a catalog of its own, for tests. */
export class TestStore {
  readonly damages: Damage[] = [];
  store: ParquetStore;
  catalog: Catalog;
  private metadata: Metadata;
  private readonly dataDir: string;
  private change: (catalog: Catalog) => Catalog;

  private constructor(dataDir: string, metadata: Metadata, change: (c: Catalog) => Catalog) {
    this.dataDir = dataDir;
    this.metadata = metadata;
    this.change = change;
    this.catalog = change(metadata.catalog);
    this.store = undefined as never;
  }

  /** @param change puts something between the store and its catalog */
  static async open(change: (catalog: Catalog) => Catalog = (c) => c): Promise<TestStore> {
    const dataDir = await mkdtemp(join(tmpdir(), 'store-'));
    const test = new TestStore(dataDir, await openCatalog(dataDir), change);
    await test.start();
    return test;
  }

  /** As a restart: what was open is closed, what is on disk is found again. */
  async reopen(): Promise<ParquetStore> {
    await this.stop();
    this.metadata = await openCatalog(this.dataDir);
    this.catalog = this.change(this.metadata.catalog);
    await this.start();
    return this.store;
  }

  /** The same, with something else between the store and its catalog. */
  async reopenWith(change: (catalog: Catalog) => Catalog): Promise<void> {
    this.change = change;
    await this.reopen();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true });
  }

  path(key: string): string {
    return join(this.dataDir, key);
  }

  /** All files of a folder, with their paths relative to the data directory. */
  async files(folder: string): Promise<string[]> {
    const found = await readdir(this.path(folder), { recursive: true, withFileTypes: true });
    const files = found.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) =>
      join(parentPath, name).slice(this.dataDir.length + 1),
    );
  }

  /** Wall clock of the store; the days of the suite are long past in it. */
  readonly clock: Clock = { nowUs: () => NOW_US, monoMs: () => performance.now() };

  private async start(): Promise<void> {
    this.store = await openParquetStore({
      dataDir: this.dataDir,
      catalog: this.catalog,
      duckdb: { memoryLimitBytes: 256 * 2 ** 20, threads: 1 },
      ulids: new UlidFactory(),
      clock: this.clock,
      onDamage: (damage) => this.damages.push(damage),
    });
  }

  private async stop(): Promise<void> {
    await this.store.close();
    await this.metadata.close();
  }
}

function openCatalog(dataDir: string): Promise<Metadata> {
  return openSqliteMetadata({ path: join(dataDir, 'memtrace.db') });
}
