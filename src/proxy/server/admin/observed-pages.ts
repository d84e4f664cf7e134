import type { BigValue } from '../../engine/observe/big-values.js';
import type { HotKey } from '../../engine/observe/hot-keys.js';
import { Ask } from '../../engine/observe/observer.js';
import type { SlowCommand } from '../../engine/observe/slow-log.js';
import type { Workers } from '../workers.js';
import { json, text, wholeParameter } from './http.js';

const COUNT_MAX = 100_000;
const HOT_KEYS_SHOWN = 20;

const wrongCount = () => text(`count is a number up to ${COUNT_MAX}\n`, 400);

const asksJson = (url: URL) => url.searchParams.get('format') === 'json';

async function all<T>(workers: Workers, kind: string, payload: unknown = null): Promise<T[]> {
  const answers = await workers.ask(kind, payload);
  return answers.filter((answer): answer is T[] => Array.isArray(answer)).flat();
}

/** What is printed of words that clients chose: on one line, without what moves a terminal's cursor. */
function shown(words: string): string {
  const plain = words.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    return `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}`;
  });
  return plain === '' || /[\s"]/.test(plain) ? JSON.stringify(plain) : plain;
}

const rate = (perSecond: number) => perSecond.toFixed(perSecond < 10 ? 2 : 0);

/** Commands that took long, the newest first. */
export async function slowLog(url: URL, workers: Workers): Promise<Response> {
  const count = wholeParameter(url, 'count', COUNT_MAX, COUNT_MAX);
  if (count === null) return wrongCount();
  const commands = (await all<SlowCommand>(workers, Ask.slowLog))
    .sort((a, b) => b.time_ms - a.time_ms || b.id - a.id)
    .slice(0, count);
  if (asksJson(url)) return json({ slow_commands: commands });
  return text(
    commands
      .map((each) => {
        const time = new Date(each.time_ms).toISOString();
        const times = `${each.duration_us} us (upstream ${each.upstream_us}, proxy ${each.proxy_us})`;
        return `${time} ${times} attempts=${each.attempts} client=${each.client} user=${shown(each.user)} ${each.arguments.map(shown).join(' ')}\n`;
      })
      .join(''),
  );
}

/** The keys that are used most, over all workers. */
export async function hotKeys(url: URL, workers: Workers): Promise<Response> {
  const count = wholeParameter(url, 'count', HOT_KEYS_SHOWN, COUNT_MAX);
  if (count === null) return wrongCount();
  const byKey = new Map<string, HotKey>();
  for (const each of await all<HotKey>(workers, Ask.hotKeys)) {
    const before = byKey.get(each.key);
    byKey.set(each.key, {
      key: each.key,
      per_second: each.per_second + (before?.per_second ?? 0),
      error: each.error + (before?.error ?? 0),
      writes_per_second: each.writes_per_second + (before?.writes_per_second ?? 0),
    });
  }
  const keys = [...byKey.values()].sort((a, b) => b.per_second - a.per_second).slice(0, count);
  if (asksJson(url)) return json({ hot_keys: keys });
  return text(
    keys
      .map(
        (each) =>
          `${rate(each.per_second)}/s (+-${rate(each.error)}, writes ${rate(each.writes_per_second)}) ${shown(each.key)}\n`,
      )
      .join(''),
  );
}

/** Keys with big commands or replies, the biggest first. */
export async function bigValues(url: URL, workers: Workers): Promise<Response> {
  const count = wholeParameter(url, 'count', COUNT_MAX, COUNT_MAX);
  if (count === null) return wrongCount();
  const values = (await all<BigValue>(workers, Ask.bigValues)).sort((a, b) => b.bytes - a.bytes).slice(0, count);
  if (asksJson(url)) return json({ big_values: values });
  return text(
    values
      .map(({ bytes, direction, command, key, count: times, time_ms: ms }) => {
        return `${bytes} ${direction} ${command} ${shown(key)} times=${times} last=${new Date(ms).toISOString()}\n`;
      })
      .join(''),
  );
}

export async function forget(workers: Workers, kind: string): Promise<void> {
  await workers.ask(kind, 'clear');
}
