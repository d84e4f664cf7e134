/** Progress of a backup on standard error: a line per shard, and one of them all once in a while. */
import type { Output } from './output.js';

/** What the run tells, as far as it is shown. */
export type ShownEvent =
  | { readonly type: 'begun'; readonly id: string; readonly place: string }
  | { readonly type: 'swept'; readonly ids: readonly string[] }
  | { readonly type: 'waiting'; readonly reason: string; readonly leftMs: number }
  | { readonly type: 'reading'; readonly shards: number; readonly round: number }
  | {
      readonly type: 'shard-begun';
      readonly name: string;
      readonly master: string;
      readonly source: string;
      readonly role: 'master' | 'replica';
      readonly kind: string;
      readonly keys: number;
    }
  | { readonly type: 'shard-progress'; readonly name: string; readonly bytes: number; readonly keys?: number }
  | { readonly type: 'shard-failed'; readonly name: string; readonly source: string; readonly reason: string }
  | {
      readonly type: 'shard-done';
      readonly name: string;
      readonly master: string;
      readonly keys: number;
      readonly plainBytes: number;
      readonly bytes: number;
    }
  | { readonly type: 'warning'; readonly text: string };

/** On a terminal somebody looks; a log is read afterwards. */
const TERMINAL_INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;
const SECOND_MS = 1_000;
const MIB = 1024 * 1024;

interface ShardProgress {
  bytes: number;
  keys: number;
  readonly keysExpected: number;
}

const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;
const number = (value: number) => value.toLocaleString('en');

export class BackupProgress {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #shards = new Map<string, ShardProgress>();
  #total = 0;
  #done = 0;
  #begunAt: number | undefined;
  #saidAt = 0;
  #waited = '';

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  show(event: ShownEvent): void {
    const { message, warning } = this.#lines();
    switch (event.type) {
      case 'begun':
        message(`Backup ${event.id} to ${event.place}`);
        break;
      case 'swept':
        message(`Removed what runs had left that were ended: ${event.ids.join(', ')}`);
        break;
      case 'waiting':
        if (event.reason !== this.#waited && this.#due()) {
          message(`Waiting: ${event.reason}; ${Math.ceil(event.leftMs / SECOND_MS)} s more at most`);
          this.#waited = event.reason;
        }
        break;
      case 'reading':
        this.#total = this.#done + event.shards;
        if (event.round > 1) message(`Slots have moved: ${event.shards} shards are read again`);
        break;
      case 'shard-begun': {
        this.#begunAt ??= this.#now();
        this.#shards.set(event.name, { bytes: 0, keys: 0, keysExpected: event.keys });
        const from = event.role === 'replica' ? `its replica ${event.source}` : 'the master itself';
        message(`→ [${this.#done}/${this.#total}] ${event.master}: read from ${from} (${event.kind})`);
        break;
      }
      case 'shard-progress':
        this.#progress(event);
        break;
      case 'shard-failed':
        warning(`${event.name} is begun anew: ${event.reason}`);
        break;
      case 'shard-done': {
        this.#done++;
        const sizes = `${mib(event.plainBytes)}, stored as ${mib(event.bytes)}`;
        message(`✔ [${this.#done}/${this.#total}] ${event.master}: ${number(event.keys)} keys, ${sizes}`);
        break;
      }
      case 'warning':
        warning(event.text);
    }
  }

  #lines() {
    return {
      message: (text: string) => this.#output.message(text),
      warning: (text: string) => this.#output.warning(text),
    };
  }

  #due(): boolean {
    const interval = this.#output.interactive ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (this.#saidAt !== 0 && this.#now() - this.#saidAt < interval) return false;
    this.#saidAt = this.#now();
    return true;
  }

  #progress({ name, bytes, keys = 0 }: Extract<ShownEvent, { type: 'shard-progress' }>): void {
    const shard = this.#shards.get(name);
    if (shard === undefined) return;
    Object.assign(shard, { bytes, keys });
    const seconds = (this.#now() - (this.#begunAt ?? this.#now())) / SECOND_MS;
    if (seconds < 1 || !this.#due()) return;
    this.#output.message(`  ${progressText([...this.#shards.values()], this.#total, seconds)}`);
  }
}

/** `120.0 MiB, 45.0 MiB/s, 1,234,567 keys (34 %), 12 s left`. Pure. */
export function progressText(shards: readonly ShardProgress[], total: number, seconds: number): string {
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const keys = shards.reduce((sum, shard) => sum + shard.keys, 0);
  const parts = [mib(bytes), `${mib(bytes / seconds)}/s`];
  if (keys > 0) {
    // Of shards that have not been begun, as many as the others have.
    const expected = shards.reduce((sum, shard) => sum + Math.max(shard.keysExpected, shard.keys), 0);
    const all = expected * Math.max(1, total / shards.length);
    const share = Math.min(1, keys / all);
    parts.push(`${number(keys)} keys (${Math.floor(share * 100)} %)`);
    parts.push(`${Math.ceil((seconds * (1 - share)) / share)} s left`);
  }
  return parts.join(', ');
}
