import type { Merge } from './answers.js';
import { ofTrees } from './merges.js';
import { array, integer, type Node, numberOf, pairsOf } from './tree.js';

/** Merges for what servers tell of themselves: slow commands, latencies, memory. */

/** SLOWLOG GET and COMMANDLOG GET: the newest entries of all, at most `count` (below 0: all). */
export function newestEntries(count: number): Merge {
  return ofTrees((replies) => {
    const entries = replies.flatMap(({ items }) => items);
    // An entry is [id, time, …]; of one second, the later id is the newer.
    const newest = entries.sort(
      (a, b) => numberOf(b.items[1]) - numberOf(a.items[1]) || numberOf(b.items[0]) - numberOf(a.items[0]),
    );
    return array(count < 0 ? newest : newest.slice(0, count));
  });
}

/** LATENCY LATEST: [event, time, latest, worst, …] for each event; the latest is the newest's, further numbers add up. */
export const latestLatencies = ofTrees((replies) => {
  const byEvent = new Map<string, Node>();
  for (const entry of replies.flatMap(({ items }) => items)) {
    const name = entry.items[0]?.text ?? '';
    const known = byEvent.get(name);
    if (known === undefined) {
      byEvent.set(name, entry);
      continue;
    }
    const newest = numberOf(entry.items[1]) > numberOf(known.items[1]) ? entry : known;
    const worst = Math.max(numberOf(entry.items[3]), numberOf(known.items[3]));
    const more = known.items.slice(4).map((item, i) => integer(numberOf(item) + numberOf(entry.items[4 + i])));
    byEvent.set(name, array([...newest.items.slice(0, 3), integer(worst), ...more]));
  }
  return array([...byEvent.values()]);
});

/** LATENCY HISTORY: [time, latency] pairs in the order of time; of one second, the worst. */
export const latencyHistory = ofTrees((replies) => {
  const byTime = new Map<number, number>();
  for (const { items } of replies.flatMap((reply) => reply.items)) {
    const time = numberOf(items[0]);
    byTime.set(time, Math.max(byTime.get(time) ?? 0, numberOf(items[1])));
  }
  const times = [...byTime.keys()].sort((a, b) => a - b);
  return array(times.map((time) => array([integer(time), integer(byTime.get(time) as number)])));
});

/** LATENCY HISTOGRAM: calls and buckets of each command added up. */
export const latencyHistograms = ofTrees((replies) => added(replies));

/** Maps of numbers, or of such maps, added up name by name; in the order in which the names first come. */
function added(maps: readonly Node[]): Node {
  const byName = new Map<string, Node[]>();
  const keys = new Map<string, Node>();
  for (const map of maps) {
    for (let i = 0; i + 1 < map.items.length; i += 2) {
      const name = map.items[i].text ?? '';
      const values = byName.get(name);
      if (values === undefined) {
        byName.set(name, [map.items[i + 1]]);
        keys.set(name, map.items[i]);
      } else values.push(map.items[i + 1]);
    }
  }
  const names = [...byName.keys()];
  // A histogram's buckets go up.
  if (names.every((name) => /^\d+$/.test(name))) names.sort((a, b) => Number(a) - Number(b));
  const items = names.flatMap((name) => {
    const values = byName.get(name) as Node[];
    const total = isAggregate(values[0])
      ? added(values)
      : integer(values.reduce((all, each) => all + numberOf(each), 0));
    return [keys.get(name) as Node, total];
  });
  return { type: maps[0].type, text: '', items };
}

const isAggregate = ({ type }: Node) => type === '*' || type === '%';

/** MEMORY STATS: what can be added is added; ratios and percentages are computed from the sums. */
export const memoryStats = ofTrees((replies) => memory(replies));

/** Ratio → what it is divided from and by. */
const MEMORY_RATIOS: Readonly<Record<string, readonly [string, string, number]>> = {
  'keys.bytes-per-key': ['dataset.bytes', 'keys.count', 1],
  'peak.percentage': ['total.allocated', 'peak.allocated', 100],
  'allocator-fragmentation.ratio': ['allocator.active', 'allocator.allocated', 1],
  'allocator-rss.ratio': ['allocator.resident', 'allocator.active', 1],
};

function memory(replies: readonly Node[]): Node {
  const maps = replies.map((reply) => new Map(pairsOf(reply)));
  const names = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const all = (name: string) => maps.map((map) => map.get(name)).filter((node) => node !== undefined);
  const total = (name: string) => all(name).reduce((most, node) => most + numberOf(node), 0);
  const net = total('total.allocated') - total('startup.allocated');
  const derived = (name: string): number => {
    if (name === 'dataset.percentage') return net > 0 ? (total('dataset.bytes') / net) * 100 : 0;
    const ratio = MEMORY_RATIOS[name];
    // The worst one's, where the sums do not tell.
    if (ratio === undefined) return Math.max(...all(name).map(numberOf));
    const [from, by, scale] = ratio;
    const value = total(by) === 0 ? 0 : (total(from) / total(by)) * scale;
    return name === 'keys.bytes-per-key' ? Math.floor(value) : value;
  };
  const items = names.flatMap((name): Node[] => {
    const [first] = all(name);
    const key: Node = { type: '$', text: name, items: [] };
    if (isAggregate(first)) return [key, memory(all(name))];
    const isDerived = /ratio$|percentage$|^fragmentation$/.test(name) || name in MEMORY_RATIOS;
    return [key, { ...first, text: String(isDerived ? derived(name) : total(name)) }];
  });
  return { type: replies[0].type, text: '', items };
}

/** Texts that people read, each below the address of the server that says it. */
export const texts = ofTrees((replies, answers) => {
  const text = replies
    .map((reply, i) => `# ${answers[i].from}\n${(reply.text ?? '').replace(/^txt:/, '').trimEnd()}\n`)
    .join('\n');
  const [{ type }] = replies;
  return type === '=' ? { type, text: `txt:${text}`, items: [] } : { type: '$', text, items: [] };
});
