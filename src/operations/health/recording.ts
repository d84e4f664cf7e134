/** What all nodes of a cluster answered, as one file: to be looked at later, elsewhere, or by somebody else. */
import { gunzipSync, gzipSync } from 'node:zlib';
import * as z from 'zod';
import type { KnownLines } from '../../cluster/parse-nodes.js';
import { parseReport } from '../../cluster/snapshot/node-report.js';
import { type RawNode, rawNodeSchema } from '../../cluster/snapshot/raw.js';
import { ClusterSnapshot, type NodeFailure } from '../../cluster/snapshot/snapshot.js';
import { type ErrorKind, EXIT_CODES, ForgeError } from '../../errors.js';

const VERSION = 1;
/** 1,000 nodes whose tables have 1,000 lines each. */
const BYTES_MAX = 512 * 1024 * 1024;

const recordingSchema = z.strictObject({
  version: z.literal(VERSION),
  /** When it was made, ISO 8601. */
  recordedAt: z.string(),
  nodes: z.array(rawNodeSchema).min(1),
  failures: z.array(
    z.strictObject({
      id: z.string().optional(),
      address: z.string(),
      kind: z.enum(Object.keys(EXIT_CODES) as [ErrorKind]),
      message: z.string(),
    }),
  ),
});

export type Recording = z.infer<typeof recordingSchema>;

/**
 * The bytes of the file, always compressed: the tables of many nodes are nearly the same. Holds addresses, versions and
 * INFO, and no keys, no values and no secrets.
 */
export function formatRecording(
  nodes: readonly RawNode[],
  failures: readonly NodeFailure[],
  recordedAt = new Date().toISOString(),
): Buffer {
  const sorted = [...nodes].sort((left, right) => (left.address < right.address ? -1 : 1));
  const recording = { version: VERSION, recordedAt, nodes: sorted, failures: [...failures] } satisfies z.input<
    typeof recordingSchema
  >;
  return gzipSync(`${JSON.stringify(recording)}\n`, { level: 9 });
}

const isCompressed = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * Reads such a file; plain JSON is read as well.
 * @param source the file's name, for errors
 * @throws ForgeError `configuration` when it is none
 */
export function parseRecording(bytes: Buffer, source: string): { recordedAt: string; snapshot: ClusterSnapshot } {
  const bad = (why: string, cause?: unknown) =>
    new ForgeError('configuration', `${source} is no recording of a cluster: ${why}.`, {
      next: 'Make one with forge cluster check --record FILE.',
      cause,
    });
  let value: unknown;
  try {
    const text = isCompressed(bytes) ? gunzipSync(bytes, { maxOutputLength: BYTES_MAX }) : bytes;
    value = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw bad('it is not JSON, and no compressed JSON', cause);
  }
  const parsed = recordingSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw bad(`${issue?.path.join('.') || 'it'}: ${issue?.message}`);
  }
  const { nodes, failures, recordedAt } = parsed.data;
  const known: KnownLines = new Map();
  const reports = new Map(nodes.map((node) => parseReport(node, known)).map((report) => [report.id, report]));
  return { recordedAt, snapshot: new ClusterSnapshot({ reports: [...reports.values()], failures }) };
}
