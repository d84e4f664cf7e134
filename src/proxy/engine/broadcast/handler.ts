import { permission } from '../access/own-commands.js';
import { parseDecimal } from '../bytes.js';
import type { Handler } from '../core/handlers.js';
import { refuse } from '../core/refuse.js';
import { sendAnywhere } from '../core/send.js';
import type { Merge } from './answers.js';
import { Gather } from './answers.js';
import { configSet } from './config-set.js';
import { info, infoShard } from './info.js';
import { allSame, allSucceeded, BY_POLICY, concatenated, smallest, sum } from './merges.js';
import { randomKey } from './random-key.js';
import { latencyHistograms, latencyHistory, latestLatencies, memoryStats, newestEntries, texts } from './reports.js';
import { beginShardTask } from './shards.js';

/** Who is asked, and how the answers are put together. */
export interface Plan {
  readonly to: 'all masters' | 'all nodes';
  /** In words, for the table of commands. */
  readonly words: string;
  readonly merge: Merge;
}

const masters = (words: string, merge: Merge): Plan => ({ to: 'all masters', words, merge });
const nodes = (words: string, merge: Merge): Plan => ({ to: 'all nodes', words, merge });

const SAME = 'all must say the same';

/** Commands whose metadata does not say enough. */
export const PLANS: ReadonlyMap<string, Plan> = new Map([
  ['dbsize', masters('sum', sum)],
  ['keys', masters('one array', concatenated)],
  ['flushall', masters(SAME, allSame)],
  ['flushdb', masters(SAME, allSame)],
  ['lastsave', masters('the oldest', smallest)],
  ['save', masters(SAME, allSame)],
  ['bgsave', masters('all must do it', allSucceeded)],
  ['bgrewriteaof', masters('all must do it', allSucceeded)],
  ['config|set', nodes(SAME, allSame)],
  ['config|resetstat', nodes(SAME, allSame)],
  ['config|rewrite', nodes(SAME, allSame)],
  ['slowlog|get', nodes('the newest of all', newestEntries(10))],
  ['slowlog|len', nodes('sum', sum)],
  ['slowlog|reset', nodes(SAME, allSame)],
  ['commandlog|get', nodes('the newest of all', newestEntries(10))],
  ['commandlog|len', nodes('sum', sum)],
  ['commandlog|reset', nodes(SAME, allSame)],
  ['latency|latest', nodes('by event: the newest, and the worst', latestLatencies)],
  ['latency|history', nodes('in the order of time', latencyHistory)],
  ['latency|histogram', nodes('calls and buckets added up', latencyHistograms)],
  ['latency|reset', nodes('sum', sum)],
  ['latency|doctor', nodes('each text below its node', texts)],
  ['latency|graph', nodes('each text below its node', texts)],
  ['memory|doctor', masters('each text below its master', texts)],
  ['memory|malloc-stats', masters('each text below its master', texts)],
  ['memory|stats', masters('amounts added up, ratios computed from them', memoryStats)],
  ['memory|purge', masters(SAME, allSame)],
]);

const ROLE = '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n';

/** Served in ways of their own. */
const SPECIAL: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['info', info],
  ['info.shard', infoShard],
  ['randomkey', randomKey],
  [
    'role',
    (client, entry) => {
      if (!permission.allows(client, entry)) return !permission.waits;
      client.core.countRequest(entry);
      client.reply(client.core.text(ROLE));
      return true;
    },
  ],
  [
    'acl|whoami',
    (client, entry) => {
      if (!permission.allows(client, entry)) return !permission.waits;
      client.core.countRequest(entry);
      client.reply(client.core.bulk(client.user));
      return true;
    },
  ],
  [
    'swapdb',
    (client, entry) => {
      refuse(client, entry, 'ERR SWAPDB is not allowed in cluster mode');
      return true;
    },
  ],
]);

/** What a command's plan is, by name or by its metadata; null: any master can answer. */
export function planOf(name: string, request: string, response: keyof typeof BY_POLICY): Plan | null {
  const plan = PLANS.get(name);
  if (plan !== undefined) return plan;
  if (request === 'all_nodes') return nodes(response || 'one array', BY_POLICY[response]);
  if (request === 'all_shards') return masters(response || 'one array', BY_POLICY[response]);
  return null;
}

/** To whom the command's plan says. */
const byPlan: Handler = (client, entry, bytes, start, frame) => {
  const plan = planOf(entry.name, entry.spec.request, entry.spec.response);
  if (plan === null) return sendAnywhere(client, entry, bytes, start, frame);
  const { core } = client;
  core.countRequest(entry);
  let { merge } = plan;
  if ((entry.name === 'slowlog|get' || entry.name === 'commandlog|get') && frame.count > 2) {
    // Something else than a number is for the servers to refuse.
    const count = parseDecimal(bytes, frame.starts[2], frame.ends[2]);
    if (Number.isInteger(count)) merge = newestEntries(count);
  }
  const command = { bytes, start, end: frame.end };
  beginShardTask(client, entry, core.router, new Gather(core, core.router, command, plan.to === 'all nodes', merge));
  return true;
};

const setConfig = configSet(byPlan);

/** Commands for all masters or all nodes. */
export const broadcast: Handler = (client, entry, bytes, start, frame) => {
  const special = entry.name === 'config|set' ? setConfig : (SPECIAL.get(entry.name) ?? byPlan);
  return special(client, entry, bytes, start, frame);
};
