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
  /** As in the file: bytes in little endian (`rawStatistics`). */
  export interface Statistics {
    min_value: Uint8Array | null;
    max_value: Uint8Array | null;
    null_count: object | null;
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
}

declare module 'parquetjs-lite/lib/compression.js' {
  export const PARQUET_COMPRESSION_METHODS: Record<
    string,
    { inflate(bytes: Uint8Array): Uint8Array }
  >;
}
