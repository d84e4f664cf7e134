/** Clients that write and read through an endpoint all the time, and look at every reply. */
import type { ConnectionOptions } from 'node:tls';
import { RawClient } from './raw-client.js';
import { poll } from './redis.js';
import { ErrorReply, type Value } from './resp.js';

const PAUSE_MS = 5;
const FINISH_MS = 20_000;
const PROGRESS_MS = 20_000;

export interface LoadOptions {
  port: number;
  /** 127.0.0.1 when not given. */
  host?: string;
  /** Speaks TLS. */
  tls?: ConnectionOptions;
  /** Logs in with it. */
  password?: string;
  /** 50 when not given. */
  clients?: number;
  /** Keys begin with it. */
  name?: string;
  /** Keys of one client; with a hash tag they are in one slot. The number of the round comes behind it. */
  keyOf?: (client: number) => string;
}

export interface LoadResult {
  /** Rounds that were answered as they should be. */
  rounds: number;
  /** Error replies, by their text. */
  errors: Map<string, number>;
  /** Replies that nobody should get: another's value, an old value, a reply out of order. */
  wrong: string[];
  /** Values that were acknowledged and are not there. */
  lost: string[];
  /** Clients whose connection was closed. */
  closed: number;
  /** Longest time that one round took. */
  slowestMs: number;
}

export interface Load {
  readonly result: LoadResult;
  /** Waits until every client has finished that many more rounds. */
  progress(rounds: number): Promise<void>;
  /** Lets every client finish its round; gives what was seen. */
  stop(): Promise<LoadResult>;
}

/**
 * Starts clients that, again and again, set a key of their own, read it, count, and read it together with another one,
 * all in one pipeline. Every value names the client and the round, so that a reply to somebody else is seen.
 */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { port, host, tls, password, clients: count = 50, name = 'load' } = options;
  const { keyOf = (client: number) => `${name}:${client}:` } = options;
  const result: LoadResult = { rounds: 0, errors: new Map(), wrong: [], lost: [], closed: 0, slowestMs: 0 };
  const rounds = new Array<number>(count).fill(0);
  const clients = await Promise.all(
    Array.from({ length: count }, async () => {
      const client = await RawClient.connect({ port, host, tls, timeoutMs: FINISH_MS });
      if (password !== undefined) await client.pipeline([['AUTH', password]]);
      return client;
    }),
  );
  let running = true;
  const loops = clients.map(async (client, index) => {
    let counted: number | null = 0;
    for (let round = 0; running; round++) {
      const key = `${keyOf(index)}${round % 200}`;
      const value = `${name}/${index}/${round}`;
      const counter = `${keyOf(index)}counter`;
      const started = performance.now();
      let replies: Value[];
      try {
        replies = await client.pipeline([
          ['SET', key, value],
          ['GET', key],
          ['INCR', counter],
          ['MGET', key, counter],
        ]);
      } catch (error) {
        result.closed++;
        result.wrong.push(`client ${index}: ${(error as Error).message}`);
        return;
      }
      result.slowestMs = Math.max(result.slowestMs, performance.now() - started);
      counted = judge(result, replies, value, counted, `client ${index}, round ${round}`);
      rounds[index]!++;
      result.rounds++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  });
  return {
    result,
    async progress(more) {
      const goals = rounds.map((done) => done + more);
      await poll(
        `every client does ${more} more rounds`,
        PROGRESS_MS,
        () => result.closed > 0 || goals.every((goal, index) => rounds[index]! >= goal),
      );
    },
    async stop() {
      running = false;
      await Promise.all(loops);
      for (const client of clients) client.close();
      return result;
    },
  };
}

/** Looks at one round; gives the counter as it should be known now, null when it is not. */
function judge(
  result: LoadResult,
  replies: Value[],
  value: string,
  before: number | null,
  what: string,
): number | null {
  const failed = (reply: Value | undefined): boolean => {
    if (!(reply instanceof ErrorReply)) return false;
    result.errors.set(reply.message, (result.errors.get(reply.message) ?? 0) + 1);
    return true;
  };
  const [set, get, incr, mget] = replies;
  const setFailed = failed(set);
  if (!setFailed && set !== 'OK') result.wrong.push(`${what}: SET gave ${String(set)}`);
  const readBack = (reply: Value | undefined, by: string) => {
    if (reply === value || setFailed) return;
    (reply === null ? result.lost : result.wrong).push(`${what}: ${by} gave ${String(reply)}, not ${value}`);
  };
  if (!failed(get)) readBack(get, 'GET');
  let counter: number | null = null;
  if (!failed(incr)) {
    counter = Number(incr);
    if (!Number.isInteger(counter)) result.wrong.push(`${what}: INCR gave ${String(incr)}`);
    else if (before !== null && counter !== before + 1) {
      (counter <= before ? result.lost : result.wrong).push(`${what}: INCR gave ${counter} after ${before}`);
    }
  }
  if (!failed(mget)) {
    if (!Array.isArray(mget) || mget.length !== 2) result.wrong.push(`${what}: MGET gave ${String(mget)}`);
    else {
      if (!failed(mget[0])) readBack(mget[0], 'MGET');
      if (!failed(mget[1]) && counter !== null && Number(mget[1]) !== counter) {
        (Number(mget[1]) < counter ? result.lost : result.wrong).push(
          `${what}: MGET gave ${String(mget[1])} after ${counter}`,
        );
      }
    }
  }
  return counter;
}
