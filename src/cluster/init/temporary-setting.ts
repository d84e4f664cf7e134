/**
 * Two waits of Redis that make no sense in a new cluster are taken away while it forms, by a setting that is put back:
 *
 * - A master that sends its data set over the network waits `repl-diskless-sync-delay` seconds (5 by default) for more
 *   replicas to come. A new cluster has no data and knows its replicas.
 * - A master that was alone does not serve for `cluster-node-timeout` (at least 0.5 s, at most 5 s) after it found the
 *   others, lest it missed a failover meanwhile. A new cluster has not had one. The wait is taken away only once every
 *   node knows the whole slot map, which leaves well below half a second until it is put back.
 *
 * Nothing is written to configuration files. Where CONFIG is not allowed, nothing is changed, and it takes longer.
 */
import { ForgeError } from '../../errors.js';
import { settleBounded } from '../bounded.js';
import type { InitObserver, Member } from './member.js';

const PARALLEL_MAX = 64;

export const SYNC_DELAY = { name: 'repl-diskless-sync-delay', value: 0 } as const;

/**
 * Nobody configures 501 ms: found on a node, it was left by a run that was killed in that half second, and the next run
 * puts it right (see `leftover.ts`). Redis takes any value up to 500 as 500.
 */
export const NODE_TIMEOUT = { name: 'cluster-node-timeout', value: 501 } as const;

export interface Setting {
  readonly name: string;
  readonly value: number;
}

/** A setting of the node as a number; undefined when it has none, or when CONFIG is not allowed. */
export async function readSetting(connection: Member['connection'], name: string): Promise<number | undefined> {
  const reply = await connection.call('CONFIG', 'GET', name).catch(() => undefined);
  const value = Array.isArray(reply) ? reply[1] : undefined;
  return typeof value === 'string' && /^[0-9]{1,12}$/.test(value) ? Number(value) : undefined;
}

export class TemporarySetting {
  readonly #setting: Setting;
  readonly #observer: InitObserver;
  readonly #changed = new Map<Member, number>();

  constructor(setting: Setting, observer: InitObserver) {
    this.#setting = setting;
    this.#observer = observer;
  }

  /** Lowers the setting where it is higher and `accept` agrees to the value found; the rest is left as it is. */
  async begin(members: readonly Member[], accept: (original: number) => boolean = () => true): Promise<void> {
    const { name, value } = this.#setting;
    await settleBounded(members, PARALLEL_MAX, async (member) => {
      const original = await readSetting(member.connection, name);
      if (original === undefined || original <= value || this.#changed.has(member) || !accept(original)) return;
      this.#observer.mutation?.({ node: member.label, command: ['CONFIG', 'SET', name, String(value)] });
      this.#changed.set(member, original);
      await member.connection.call('CONFIG', 'SET', name, value);
    });
  }

  /**
   * Puts back what `begin` changed; also after an interruption, and safe to call twice.
   * @throws ForgeError `partial` naming the nodes where that failed, and the command that does it
   */
  async end(): Promise<void> {
    const { name } = this.#setting;
    const changed = [...this.#changed];
    const results = await settleBounded(changed, PARALLEL_MAX, async ([member, original]) => {
      await member.connection.call('CONFIG', 'SET', name, original);
      this.#changed.delete(member);
    });
    const failed = changed.filter((_, index) => results[index]?.status === 'rejected');
    const [first] = failed;
    if (first === undefined) return;
    throw new ForgeError('partial', `Could not put ${name} back on ${failed.map(([{ label }]) => label).join(', ')}.`, {
      host: first[0].label,
      next: `Run CONFIG SET ${name} ${first[1]} there, or restart the node.`,
    });
  }
}
