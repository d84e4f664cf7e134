/**
 * The first synchronisation without a wait. A master that sends its data set over the network waits
 * `repl-diskless-sync-delay` seconds (5 by default) for more replicas to come; a new cluster has no data and knows its
 * replicas, so the wait is taken away while they attach, and put back. Where CONFIG is not allowed, nothing is changed.
 */
import { mapBounded } from '../bounded.js';
import type { InitObserver, Member } from './member.js';

const SETTING = 'repl-diskless-sync-delay';
const PARALLEL_MAX = 64;

export class QuickSync {
  readonly #changed: { member: Member; delay: string }[] = [];
  readonly #observer: InitObserver;

  constructor(observer: InitObserver) {
    this.#observer = observer;
  }

  /** Takes the wait away on the masters that have one. Never throws but by the observer. */
  async begin(masters: readonly Member[]): Promise<void> {
    await mapBounded(masters, PARALLEL_MAX, async (member) => {
      const delay = await readDelay(member);
      if (delay === undefined || delay === '0') return;
      this.#observer.mutation?.({ node: member.label, command: ['CONFIG', 'SET', SETTING, '0'] });
      this.#changed.push({ member, delay });
      await member.connection.call('CONFIG', 'SET', SETTING, '0').catch(() => undefined);
    });
  }

  /** Puts back what `begin` changed, also after an interruption; a node that is gone is skipped. */
  async end(): Promise<void> {
    await mapBounded(this.#changed.splice(0), PARALLEL_MAX, async ({ member, delay }) => {
      await member.connection.call('CONFIG', 'SET', SETTING, delay).catch(() => undefined);
    });
  }
}

async function readDelay(member: Member): Promise<string | undefined> {
  const reply = await member.connection.call('CONFIG', 'GET', SETTING).catch(() => undefined);
  const value = Array.isArray(reply) ? reply[1] : undefined;
  return typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? value : undefined;
}
