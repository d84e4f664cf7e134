/** INFO as sections of fields, in the server's order. */
export interface InfoSection {
  /** As the server writes it: `Memory`, `Cluster Info`. */
  readonly title: string;
  readonly fields: Map<string, string>;
}

/** Reads INFO's text: `# Section`, then `field:value` lines. */
export function parseInfo(text: string): InfoSection[] {
  const sections: InfoSection[] = [];
  let section: InfoSection | undefined;
  for (const line of text.split('\r\n')) {
    if (line.startsWith('# ')) {
      section = { title: line.slice(2), fields: new Map() };
      sections.push(section);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0 || section === undefined) continue;
    section.fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return sections;
}

export function formatInfo(sections: readonly InfoSection[]): string {
  return sections
    .map(({ title, fields }) => `# ${title}\r\n${[...fields].map(([name, value]) => `${name}:${value}\r\n`).join('')}`)
    .join('\r\n');
}

/** Fields that say nothing of several servers together, or that the proxy says itself. */
const OF_ONE_SERVER = new Set([
  'run_id',
  'executable',
  'config_file',
  'process_supervised',
  'io_threads_active',
  'lru_clock',
  'server_time_usec',
  'availability_zone',
]);

/** The largest of all, or the worst. */
const LARGEST =
  /(_in_progress|_enabled|backlog_active|threads_active|_running|_scheduled|_sec|_age|_perc|_ratio|^loading|^async_loading|^current_|^latest_|^hz$|^maxclients$|_hz$|^client_recent_)/;
/** The smallest: how far all of them are. */
const SMALLEST = new Set(['rdb_last_save_time']);
/** The same everywhere, as configured; or no amount although it is a number. */
const FIRST = new Set(['arch_bits', 'redis_git_dirty', 'redis_git_sha1', 'redis_build_id', 'total_system_memory']);

const NUMBER = /^-?\d+(\.\d+)?$/;

/** Sizes of bytes as Redis writes them for people. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes}B` : `${value.toFixed(2)}${units[unit]}`;
}

/**
 * What several masters say, as one server would: amounts are added, states are the worst, ratios and texts for people
 * are computed from the sums, and what is true of one server only is left out.
 */
export function mergeInfo(answers: readonly (readonly InfoSection[])[]): InfoSection[] {
  const titles = [...new Set(answers.flatMap((sections) => sections.map(({ title }) => title)))];
  return titles.map((title) => {
    const maps = answers.flatMap((sections) => sections.filter((each) => each.title === title));
    const names = [...new Set(maps.flatMap(({ fields }) => [...fields.keys()]))];
    const fields = new Map<string, string>();
    for (const name of names) {
      if (OF_ONE_SERVER.has(name) || /^listener\d/.test(name)) continue;
      const values = maps.map((map) => map.fields.get(name)).filter((value) => value !== undefined);
      fields.set(name, mergeField(name, values));
    }
    derive(fields);
    return { title, fields };
  });
}

function mergeField(name: string, values: readonly string[]): string {
  const [first] = values;
  if (FIRST.has(name)) return first;
  if (name.endsWith('_status')) return values.find((value) => value !== 'ok') ?? first;
  if (name.startsWith('latency_percentiles')) return mergeList(values, (a, b) => Math.max(a, b), 3);
  if (/^(cmdstat_|errorstat_|db\d|io_thread_\d|engine_\d)/.test(name)) return mergeList(values, (a, b) => a + b);
  if (!values.every((value) => NUMBER.test(value))) {
    // Percentages, too, are computed anew where that is possible.
    return values.every((value) => /^[\d.]+%$/.test(value)) ? `${largest(values.map((v) => v.slice(0, -1)))}%` : first;
  }
  if (SMALLEST.has(name)) return String(Math.min(...values.map(Number)));
  if (LARGEST.test(name)) return largest(values);
  return add(values);
}

const largest = (values: readonly string[]) => values.reduce((a, b) => (Number(b) > Number(a) ? b : a));

/** A sum with as many decimals as its parts have. Integers may be beyond 2^53: Redis's are 64 bits. */
function add(values: readonly string[]): string {
  const decimals = Math.max(
    ...values.map((value) => (value.includes('.') ? value.length - value.indexOf('.') - 1 : 0)),
  );
  if (decimals > 0) return values.reduce((total, value) => total + Number(value), 0).toFixed(decimals);
  return String(values.reduce((total, value) => total + BigInt(value), 0n));
}

/** `calls=1,usec=8,usec_per_call=8.00` and the like: combined name by name; means are computed anew. */
function mergeList(values: readonly string[], combine: (a: number, b: number) => number, decimals = 2): string {
  const lists = values.map(
    (value) =>
      new Map(
        value
          .split(',')
          .map((pair): [string, string] => [
            pair.slice(0, pair.lastIndexOf('=')),
            pair.slice(pair.lastIndexOf('=') + 1),
          ]),
      ),
  );
  const names = [...new Set(lists.flatMap((list) => [...list.keys()]))];
  const of = (name: string) => lists.map((list) => list.get(name)).filter((value) => value !== undefined);
  const total = (name: string) => of(name).reduce((sum, value) => sum + Number(value), 0);
  return names
    .map((name) => {
      const found = of(name);
      if (!found.every((value) => NUMBER.test(value))) return `${name}=${found[0]}`;
      if (name === 'usec_per_call') return `${name}=${(total('usec') / Math.max(1, total('calls'))).toFixed(2)}`;
      if (name === 'avg_ttl') return `${name}=${meanTtl(lists)}`;
      const value = found.map(Number).reduce(combine);
      return `${name}=${Number.isInteger(value) && !found[0].includes('.') ? value : value.toFixed(decimals)}`;
    })
    .join(',');
}

/** Milliseconds to live of a key that expires, over all shards' keys that do. */
function meanTtl(lists: readonly Map<string, string>[]): number {
  let weighted = 0;
  let keys = 0;
  for (const list of lists) {
    const expires = Number(list.get('expires') ?? 0);
    weighted += Number(list.get('avg_ttl') ?? 0) * expires;
    keys += expires;
  }
  return keys === 0 ? 0 : Math.round(weighted / keys);
}

/** Ratio → what is divided by what. */
const RATIOS: readonly (readonly [string, string, string])[] = [
  ['allocator_frag_ratio', 'allocator_active', 'allocator_allocated'],
  ['allocator_rss_ratio', 'allocator_resident', 'allocator_active'],
  ['rss_overhead_ratio', 'used_memory_rss', 'allocator_resident'],
  ['mem_fragmentation_ratio', 'used_memory_rss', 'used_memory'],
];

/** Computes what follows from other fields of the section. */
function derive(fields: Map<string, string>): void {
  for (const name of fields.keys()) {
    const base = name.endsWith('_human') ? fields.get(name.slice(0, -'_human'.length)) : undefined;
    if (base !== undefined) fields.set(name, humanBytes(Number(base)));
  }
  const value = (name: string) => Number(fields.get(name));
  for (const [ratio, from, by] of RATIOS) {
    if (fields.has(ratio) && value(by) > 0) fields.set(ratio, (value(from) / value(by)).toFixed(2));
  }
  const percent = (name: string, part: number, whole: number) => {
    if (fields.has(name) && whole > 0) fields.set(name, `${((part / whole) * 100).toFixed(2)}%`);
  };
  percent('used_memory_peak_perc', value('used_memory'), value('used_memory_peak'));
  const net = value('used_memory') - value('used_memory_startup');
  percent('used_memory_dataset_perc', Math.min(value('used_memory_dataset'), net), net);
}
