import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UlidFactory } from '../../base/ulid.js';
import type { Metadata } from '../../metadata/metadata.js';
import { openSqliteMetadata } from '../../metadata/sqlite/sqlite.js';
import { type StoreUnderTest, storeSuite } from '../store.suite.js';
import { openParquetStore, type ParquetStore } from './parquet.js';

async function open(): Promise<StoreUnderTest> {
  const dataDir = await mkdtemp(join(tmpdir(), 'store-'));
  let metadata: Metadata;
  const start = async (): Promise<ParquetStore> => {
    metadata = await openSqliteMetadata({ path: join(dataDir, 'memtrace.db') });
    return openParquetStore({
      dataDir,
      catalog: metadata.catalog,
      duckdb: { memoryLimitBytes: 256 * 2 ** 20, threads: 1 },
      ulids: new UlidFactory(),
    });
  };
  const stop = async (store: ParquetStore) => {
    await store.close();
    await metadata.close();
  };
  let store = await start();
  return {
    store,
    reopen: async () => {
      await stop(store);
      store = await start();
      return store;
    },
    close: async () => {
      await stop(store);
      await rm(dataDir, { recursive: true });
    },
  };
}

storeSuite('the embedded store', open);
