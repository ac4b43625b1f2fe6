import { join } from 'node:path';
import { type Disk, realDisk, writeAll } from './disk.js';
import { encodeSegmentHeader, SEGMENT_HEADER, segmentName } from './format.js';
import { type Identity, writeIdentity } from './identity.js';

/** What a stream's name says; null if it is none. The twin of streamName. */
export function identityOf(stream: string): Identity | null {
  const match = /^(w_[0-9A-HJKMNP-TV-Z]{26})\.([1-9]\d{0,8})$/.exec(stream);
  const [, writer, epoch] = match ?? [];
  return writer === undefined || epoch === undefined ? null : { writer, epoch: Number(epoch) };
}

/**
 * Makes an empty log, durably, that goes on with `stream` after `position`: its next record is
 * `position + 1`. For a restored directory, whose catalog knows the stream up to there: what
 * follows it in the log that was sent has positions of this stream.
 *
 * @throws if the name is not that of a stream, or the directory holds segments already
 */
export function continueLog(
  dir: string,
  from: { stream: string; position: number; nowUs: number },
  disk: Disk = realDisk,
): void {
  const identity = identityOf(from.stream);
  if (identity === null) throw new Error(`not the name of a log stream: ${from.stream}`);
  disk.mkdir(dir);
  if (disk.list(dir).length > 0) throw new Error(`the log directory ${dir} is not empty`);
  const first = from.position + 1;
  const header = encodeSegmentHeader({ first, createdUs: from.nowUs, ...identity });
  const fd = disk.open(join(dir, segmentName(first)), 'wx');
  try {
    writeAll(disk, fd, header.subarray(0, SEGMENT_HEADER), 0);
    disk.sync(fd);
  } finally {
    disk.close(fd);
  }
  writeIdentity(disk, dir, identity);
}
