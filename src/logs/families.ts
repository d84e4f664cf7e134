/** Which files of a folder are logs, and which were logs: `redis.log`, `redis.log.1`, `redis.log.2.gz`. Pure. */

export interface RotatedLog {
  readonly name: string;
  /** 1 is the newest. */
  readonly number: number;
  readonly compressed: boolean;
}

export interface LogFamily {
  /** Name of the log that is written to. */
  readonly base: string;
  /** Newest first; of one number there may be two, when a run was killed. */
  readonly rotated: readonly RotatedLog[];
  /** Files that a killed run had not finished. */
  readonly torn: readonly string[];
}

const ROTATED = /^(.+)\.([1-9][0-9]{0,3})(\.gz)?$/;
const TORN = /^(.+)\.[1-9][0-9]{0,3}(?:\.gz)?\.forge-part$/;

/** What is being written before it has its name. */
export const partOf = (name: string): string => `${name}.forge-part`;

/**
 * A pattern of names as shells know it, of `*` and `?` only; a name never has a slash.
 * @returns whether a name fits
 */
export function nameMatcher(pattern: string): (name: string) => boolean {
  const source = [...pattern]
    .map((character) => {
      if (character === '*') return '[^/]*';
      return character === '?' ? '[^/]' : character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    })
    .join('');
  const expression = new RegExp(`^${source.replace(/(?:\[\^\/\]\*){2,}/g, '[^/]*')}$`, 'u');
  return (name) => expression.test(name);
}

/**
 * The logs among the names, in the order of their names. A rotated log whose own log is gone belongs to nobody.
 * @param isLog whether a name is that of a log which may be rotated
 */
export function familiesOf(names: readonly string[], isLog: (name: string) => boolean): LogFamily[] {
  const found = new Map<string, { rotated: RotatedLog[]; torn: string[] }>();
  for (const name of names) {
    if (isLog(name) && !ROTATED.test(name) && !TORN.test(name)) found.set(name, { rotated: [], torn: [] });
  }
  for (const name of names) {
    const rotated = ROTATED.exec(name);
    if (rotated !== null) {
      const [, base = '', number, compressed] = rotated;
      found.get(base)?.rotated.push({ name, number: Number(number), compressed: compressed !== undefined });
    }
    const torn = TORN.exec(name);
    if (torn !== null) found.get(torn[1] ?? '')?.torn.push(name);
  }
  return [...found]
    .map(([base, { rotated, torn }]) => ({
      base,
      rotated: rotated.sort(
        (one, other) => one.number - other.number || Number(one.compressed) - Number(other.compressed),
      ),
      torn: torn.sort(),
    }))
    .sort((one, other) => (one.base < other.base ? -1 : 1));
}
