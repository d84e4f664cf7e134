import type { Client } from '../core/client.js';
import { isSubscriber } from './describe.js';

/** Which clients CLIENT LIST and CLIENT KILL mean: those for which everything that is given holds. Plain data. */
export interface ClientFilter {
  ids?: Set<number>;
  type?: ClientType;
  user?: string;
  address?: string;
  localAddress?: string;
  maxAgeSeconds?: number;
  /** Leaves out the client that asks. */
  skipMe?: boolean;
}

/** The proxy has no replicas or masters among its clients; they can be asked for. */
export type ClientType = 'normal' | 'master' | 'replica' | 'pubsub';

const TYPES: Readonly<Record<string, ClientType>> = {
  normal: 'normal',
  master: 'master',
  replica: 'replica',
  slave: 'replica',
  pubsub: 'pubsub',
};

/** The words of a command, as far as a filter reads them. */
export interface Words {
  readonly count: number;
  text(index: number): string;
  word(index: number): string;
  integer(index: number): number;
}

/** Reads one option at `at`; returns where the next one begins, or Redis's error. */
type ReadOption = (filter: ClientFilter, words: Words, at: number) => number | string;

const OPTIONS: ReadonlyMap<string, ReadOption> = new Map<string, ReadOption>([
  [
    'type',
    (filter, words, at) => {
      const type = TYPES[words.word(at + 1)];
      if (type === undefined) return `Unknown client type '${words.text(at + 1).replace(/[\r\n]/g, ' ')}'`;
      filter.type = type;
      return at + 2;
    },
  ],
  [
    'user',
    (filter, words, at) => {
      filter.user = words.text(at + 1);
      return at + 2;
    },
  ],
  [
    'addr',
    (filter, words, at) => {
      filter.address = words.text(at + 1);
      return at + 2;
    },
  ],
  [
    'laddr',
    (filter, words, at) => {
      filter.localAddress = words.text(at + 1);
      return at + 2;
    },
  ],
  [
    'skipme',
    (filter, words, at) => {
      const value = words.word(at + 1);
      if (value !== 'yes' && value !== 'no') return 'syntax error';
      filter.skipMe = value === 'yes';
      return at + 2;
    },
  ],
  [
    'maxage',
    (filter, words, at) => {
      const seconds = words.integer(at + 1);
      if (Number.isNaN(seconds)) return 'maxage is not an integer or out of range';
      if (seconds <= 0) return 'maxage should be greater than 0';
      filter.maxAgeSeconds = seconds;
      return at + 2;
    },
  ],
]);

/** CLIENT KILL takes one id with each ID. */
const killId: ReadOption = (filter, words, at) => {
  const id = words.integer(at + 1);
  if (!(id > 0)) return 'client-id should be greater than 0';
  filter.ids ??= new Set();
  filter.ids.add(id);
  return at + 2;
};

/** CLIENT LIST takes all that follow ID, up to a word that is another option. */
const listIds: ReadOption = (filter, words, at) => {
  const ids = new Set<number>();
  let next = at + 1;
  for (; next < words.count && !OPTIONS.has(words.word(next)); next++) {
    const id = words.integer(next);
    if (!(id > 0)) return 'Invalid client ID';
    ids.add(id);
  }
  filter.ids = ids;
  return next;
};

/** Reads the options from `at` on; text is an error, without `ERR`. */
export function readFilter(words: Words, at: number, command: 'list' | 'kill'): ClientFilter | string {
  const filter: ClientFilter = { skipMe: command === 'kill' };
  while (at < words.count) {
    const name = words.word(at);
    const option = name === 'id' ? (command === 'list' ? listIds : killId) : OPTIONS.get(name);
    if (option === undefined || at + 1 >= words.count) return 'syntax error';
    const next = option(filter, words, at);
    if (typeof next === 'string') return next;
    at = next;
  }
  return filter;
}

/** True when the filter means this client; `me` is the id of the one that asks. */
export function matches(filter: ClientFilter, client: Client, me: number): boolean {
  const { ids, type, user, address, localAddress, maxAgeSeconds, skipMe } = filter;
  if (ids !== undefined && !ids.has(client.id)) return false;
  if (type !== undefined && type !== (isSubscriber(client) ? 'pubsub' : 'normal')) return false;
  if (user !== undefined && user !== client.user) return false;
  if (address !== undefined && address !== client.address) return false;
  if (localAddress !== undefined && localAddress !== client.details.localAddress) return false;
  if (maxAgeSeconds !== undefined && (client.core.nowMs - client.createdMs) / 1000 < maxAgeSeconds) return false;
  return !(skipMe === true && client.id === me);
}
