/** What a restore would do, and how far it is. */
import type { Output } from './output.js';
import { renderTable } from './table.js';

export interface ShownRestore {
  readonly backup: {
    readonly cluster: string;
    readonly id: string;
    readonly startedAt: string;
    readonly servers: readonly string[];
  };
  readonly shards: readonly {
    readonly object: string;
    readonly slots: string;
    readonly keys: number;
    readonly bytes: number;
  }[];
  readonly masters: readonly {
    readonly address: string;
    readonly slots: string;
    readonly keys: number;
    readonly incoming?: number;
  }[];
  readonly keys: number;
  readonly counted: boolean;
  readonly expired: number;
  readonly existingKeys: number;
  readonly existing: 'refuse' | 'keep' | 'replace';
  readonly resumed: boolean;
  readonly notes: readonly string[];
}

const INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;
const SECOND_MS = 1_000;
const MIB = 1024 * 1024;
const SHOWN_CHARACTERS_MAX = 40;

const number = (value: number) => value.toLocaleString('en');
const mib = (bytes: number) => (bytes / MIB).toFixed(1);
const short = (text: string) => (text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text);

const FATES = {
  refuse: 'none may be there',
  keep: 'those that are there stay as they are',
  replace: 'those that are there are REPLACED',
} as const;

/** The plan, as lines of the result. */
export function restoreLines(plan: ShownRestore): string[] {
  const { backup, shards, masters, keys, counted, expired, existingKeys, existing } = plan;
  const { cluster, id, startedAt, servers } = backup;
  const late = expired === 0 ? '' : `; ${number(expired)} more are left out, since their time has come`;
  return [
    `Backup ${cluster}/${id} of ${startedAt}, ${servers.join(', ')}`,
    renderTable(
      ['OBJECT', { title: 'KEYS', align: 'right' }, { title: 'MIB', align: 'right' }, 'SLOTS'],
      shards.map((shard) => [shard.object, number(shard.keys), mib(shard.bytes), short(shard.slots)]),
    ),
    '',
    renderTable(
      ['MASTER', { title: 'KEYS NOW', align: 'right' }, { title: 'TO COME', align: 'right' }, 'SLOTS'],
      masters.map((master) => [
        master.address,
        number(master.keys),
        master.incoming === undefined ? '?' : number(master.incoming),
        short(master.slots),
      ]),
    ),
    '',
    `${counted ? '' : 'About '}${number(keys)} keys are to be restored${late}.`,
    `The cluster holds ${number(existingKeys)} keys: ${FATES[existing]}.`,
  ];
}

export interface ShownShape {
  readonly master: string;
  readonly slots: string;
  readonly replicas: readonly string[];
}

/** The cluster that is formed first. */
export function shapeLines(shards: readonly ShownShape[]): string[] {
  const rows = shards.map(({ master, slots, replicas }) => [master, short(slots), replicas.join(' ')]);
  return [renderTable(['MASTER', 'SLOTS', 'REPLICAS'], rows), ''];
}

export interface ShownTally {
  readonly restored: number;
  readonly existing: number;
  readonly expired: number;
  readonly refused: number;
}

/** Lines on standard error: one a second on a terminal, one in ten where a log is written. */
export class RestoreProgress {
  readonly #output: Output;
  readonly #now: () => number;
  #saidAt = Number.NEGATIVE_INFINITY;
  #first: { at: number; restored: number } | undefined;
  #remark = '';

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  surveyed(bytes: number, total: number): void {
    if (bytes >= total || !this.#due()) return;
    this.#output.message(`  looked at ${mib(bytes)} of ${mib(total)} MiB`);
  }

  restored({ restored, existing }: ShownTally, total: number): void {
    this.#first ??= { at: this.#now(), restored };
    if (!this.#due()) return;
    const seconds = (this.#now() - this.#first.at) / SECOND_MS;
    const rate = seconds > 0 ? (restored - this.#first.restored) / seconds : 0;
    const left = rate > 0 && total > restored ? `, ${Math.ceil((total - restored) / rate)} s left` : '';
    const there = existing > 0 ? `, ${number(existing)} were there` : '';
    this.#output.message(
      `  ${number(restored)} of ${number(total)} keys, ${number(Math.round(rate))} a second${left}${there}`,
    );
  }

  remark(text: string): void {
    if (text === this.#remark) return;
    this.#remark = text;
    this.#output.message(`  ${text}`);
  }

  #due(): boolean {
    const now = this.#now();
    if (now - this.#saidAt < (this.#output.interactive ? INTERVAL_MS : LOG_INTERVAL_MS)) return false;
    this.#saidAt = now;
    return true;
  }
}
