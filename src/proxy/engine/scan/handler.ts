import { beginShardTask } from '../broadcast/shards.js';
import type { Handler } from '../core/handlers.js';
import { refuse } from '../core/refuse.js';
import { readCursor } from './cursor.js';
import { INVALID_CURSOR, ScanTask } from './task.js';

/** SCAN over all shards, one after another in the order of their slots. */
export const scan: Handler = (client, entry, bytes, _start, frame) => {
  const { core } = client;
  const cursor = readCursor(bytes, frame.starts[1], frame.ends[1]);
  if (cursor === null) {
    refuse(client, entry, INVALID_CURSOR);
    return true;
  }
  core.countRequest(entry);
  // MATCH, COUNT, TYPE and what else there may be goes on as it came.
  const options = { bytes, start: frame.ends[1] + 2, end: frame.end, count: frame.count };
  beginShardTask(client, entry, core.router, new ScanTask(core, core.router, cursor, options));
  return true;
};
