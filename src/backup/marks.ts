/** Marks beside a backup: that it is to stay, and what the last look at its bytes has found. Pure. */
import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { isBackupId, isClusterName } from './layout.js';
import { sealFits, sealText } from './sealed.js';

/** What a mark may have: all its faults, should each character take six. */
export const MARK_MAX_BYTES = 128 * 1024;
export const NOTE_MAX_CHARACTERS = 200;
/** More faults of one backup are counted, not written down. */
export const FAULTS_REMEMBERED_MAX = 20;
const FAULT_MAX_CHARACTERS = 400;

const about = {
  cluster: z.string().check(z.refine(isClusterName)),
  id: z.string().check(z.refine(isBackupId)),
  at: z.iso.datetime(),
  /** `user@host`. */
  by: z.string().check(z.maxLength(NOTE_MAX_CHARACTERS)),
};

const keepSchema = z.strictObject({
  ...about,
  note: z.optional(z.string().check(z.maxLength(NOTE_MAX_CHARACTERS))),
});

const faults = z.array(z.string().check(z.maxLength(FAULT_MAX_CHARACTERS))).check(z.maxLength(FAULTS_REMEMBERED_MAX));

const verifiedSchema = z.strictObject({
  ...about,
  /** What was done: all sums; also loaded into a server; also every value read. */
  how: z.enum(['sums', 'load', 'deep']),
  /** Digest of the manifest's text: it speaks of that backup alone. */
  manifest: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** What is not as it was written; none: it is good. */
  faults,
  /** What servers found when they loaded it: it may be their fault. */
  loadFaults: faults,
});

export type KeepMark = z.infer<typeof keepSchema>;
export type VerifiedMark = z.infer<typeof verifiedSchema>;

export const writeKeepMark = (mark: KeepMark): string => sealText(JSON.stringify(keepSchema.parse(mark), undefined, 2));

export function writeVerifiedMark(mark: VerifiedMark): string {
  const short = (all: readonly string[]) =>
    all.slice(0, FAULTS_REMEMBERED_MAX).map((fault) => fault.slice(0, FAULT_MAX_CHARACTERS));
  const fitting = { ...mark, faults: short(mark.faults), loadFaults: short(mark.loadFaults) };
  return sealText(JSON.stringify(verifiedSchema.parse(fitting), undefined, 2));
}

/** Undefined for what was not written so, byte for byte. */
export const readKeepMark = (text: string): KeepMark | undefined => readMark(text, keepSchema);
export const readVerifiedMark = (text: string): VerifiedMark | undefined => readMark(text, verifiedSchema);

function readMark<Schema extends z.ZodMiniType>(text: string, schema: Schema): z.infer<Schema> | undefined {
  if (!sealFits(text)) return undefined;
  try {
    const { seal: _, ...body } = JSON.parse(text) as { seal: string };
    const parsed = schema.safeParse(body);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** As a verified mark names a manifest. @param text of the manifest's file */
export const manifestDigest = (text: string): string => createHash('sha256').update(text).digest('hex');
