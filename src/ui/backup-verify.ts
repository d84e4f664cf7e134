/** What was found in backups, for people, and how far it is. */
import { bytesText } from './cluster-status.js';
import type { Colors } from './colors.js';
import type { Output } from './output.js';
import { printable } from './printable.js';

export interface ShownVerdictOnBackup {
  readonly cluster: string;
  readonly id: string;
  readonly good: boolean;
  readonly how: string;
  readonly decrypted: boolean;
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
  readonly load?: { readonly shards: readonly { readonly keys: number }[]; readonly digest?: string };
}

/** One line per backup, and one per fault below it. */
export function verifiedLines(verdict: ShownVerdictOnBackup, colors: Colors): string[] {
  const { cluster, id, good, decrypted, objects, bytes, problems, notes, load } = verdict;
  const keys = load?.shards.reduce((sum, shard) => sum + shard.keys, 0);
  const words = [
    `${objects} objects, ${bytesText(bytes)}`,
    ...(decrypted ? [] : ['not decrypted, for want of the key']),
    ...(keys === undefined ? [] : [`${keys.toLocaleString('en')} keys loaded`]),
    ...(load?.digest === undefined ? [] : [`digest ${load.digest}`]),
  ];
  return [
    `${good ? colors.green('PASS') : colors.red('FAIL')}  ${cluster}/${id}: ${words.join(', ')}`,
    ...problems.map((problem) => `      ${printable(problem)}`),
    ...notes.map((note) => `      ${colors.dim(printable(note))}`),
  ];
}

/** On a terminal somebody looks; a log is read afterwards. */
const TERMINAL_INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;
const PERCENT = 100;

/** A line once in a while, on standard error. */
export class VerifyProgressLines {
  readonly #output: Output;
  readonly #now: () => number;
  #saidAt: number;

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
    this.#saidAt = now();
  }

  /** So many bytes of the backup were read. */
  read(name: string, { bytes, totalBytes }: { readonly bytes: number; readonly totalBytes: number }): void {
    const share = totalBytes === 0 ? PERCENT : Math.floor((bytes / totalBytes) * PERCENT);
    this.#say(() => `  ${name}: ${bytesText(bytes)} of ${bytesText(totalBytes)}, ${share} %`);
  }

  /** Keys of a shard that a server has. */
  loading(name: string, shard: string, progress: { readonly keys?: number }): void {
    const keys = progress.keys === undefined ? '' : `, ${progress.keys.toLocaleString('en')} keys counted`;
    this.#say(() => `  ${name}: ${shard} is loaded${keys}`);
  }

  #say(text: () => string): void {
    const now = this.#now();
    if (now - this.#saidAt < (this.#output.interactive ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS)) return;
    this.#saidAt = now;
    this.#output.message(text());
  }
}
