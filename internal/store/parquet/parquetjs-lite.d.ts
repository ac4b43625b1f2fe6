/** What the second reader uses of parquetjs-lite, which has no types of its own. */
declare module 'parquetjs-lite' {
  export interface ColumnChunk {
    meta_data: {
      path_in_schema: string[];
      /** 64-bit integers are objects that `Number` understands. */
      num_values: object;
      statistics: Statistics | null;
    };
  }
  /** As in the file: bytes in little endian (`rawStatistics`), a string if they are UTF-8. */
  export interface Statistics {
    min_value: Uint8Array | string | null;
    max_value: Uint8Array | string | null;
  }
  export interface RowGroup {
    num_rows: object;
    columns: ColumnChunk[];
  }
  export interface FileMetadata {
    row_groups: RowGroup[];
    key_value_metadata: { key: string; value: string }[] | null;
  }
  export interface DecodedChunk {
    count: number;
    /** Without nulls; numbers as texts where the column has a dictionary. */
    values: unknown[];
  }
  export interface ReaderOptions {
    rawStatistics?: boolean;
    default_dictionary_size?: number;
  }
  export class ParquetEnvelopeReader {
    constructor(
      read: (offset: number, length: number) => Promise<Uint8Array>,
      close: () => void,
      fileSize: number,
      options: ReaderOptions,
    );
    readColumnChunk(
      schema: object,
      chunk: ColumnChunk,
      options: ReaderOptions,
    ): Promise<DecodedChunk>;
  }
  export class ParquetReader {
    static openEnvelopeReader(
      envelope: ParquetEnvelopeReader,
      options: ReaderOptions,
    ): Promise<ParquetReader>;
    readonly metadata: FileMetadata;
    getRowCount(): object;
    getSchema(): object;
    close(): Promise<void>;
  }
  /** A CommonJS module whose names Node cannot see: only the default import works. */
  const parquet: {
    ParquetEnvelopeReader: typeof ParquetEnvelopeReader;
    ParquetReader: typeof ParquetReader;
  };
  export default parquet;
}

declare module 'parquetjs-lite/lib/compression.js' {
  const compression: {
    PARQUET_COMPRESSION_METHODS: Record<string, { inflate(bytes: Uint8Array): Uint8Array }>;
  };
  export default compression;
}
