/** What forge can do to the process of a node, besides talking to it. */
import { ForgeError } from '../../../errors.js';

export interface Reach {
  /** What it is done to: `process 4242`, `the container orders-redis-6379 on db-1`. */
  readonly words: string;
  /** Ends it at once: it says good-bye to nobody. Undefined where forge cannot. */
  readonly kill?: () => Promise<void>;
  /** Brings back what `kill` has ended, where no supervisor does; harmless when it is there. */
  readonly revive?: () => Promise<void>;
  /**
   * From now on it does nothing at all, and everybody who talks to it waits. It goes on after this time, whatever becomes
   * of this program. Undefined where forge cannot.
   */
  readonly hang?: (forMs: number) => Promise<void>;
  /** Has it go on before that. @returns false where nobody can: it goes on when its time is over */
  readonly wake?: () => Promise<boolean>;
}

/** A node that is to be reached. */
export interface Reached {
  readonly id: string;
  /** As forge talks to it. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

export type FindReach = (node: Reached) => Promise<Reach>;

/** @throws ForgeError `refused`, with what forge can do instead */
export function requireAble<What extends 'kill' | 'hang'>(
  reach: Reach,
  what: What,
  { address }: Reached,
): asserts reach is Reach & Required<Pick<Reach, What>> {
  if (reach[what] !== undefined) return;
  throw new ForgeError('refused', `forge cannot ${what === 'kill' ? 'kill' : 'stop'} ${address}: ${reach.words}.`, {
    host: address,
    next:
      what === 'kill'
        ? 'Say how it is killed: --kill-command "ssh {host} systemctl kill -s KILL redis-server@{port}". What starts it again must be there.'
        : 'Take a cluster of forge up or of forge deploy, or set enable-debug-command yes on nodes of staging.',
  });
}
