/** Values of settings as redis.conf takes them, and what to say of those that it does not. Pure. */
import { nearest } from '../proxy/config/nearest.js';

/** Settings that may have several lines. */
const SEVERAL_LINES = new Set(['save', 'client-output-buffer-limit']);
const VALUE_LENGTH_MAX = 4_096;

const MEMORY = /^(\d{1,19})(b|k|kb|m|mb|g|gb)?$/i;
/** Redis's own: with a b by powers of 1,024, without by powers of 1,000 (redis: util.c, memtoull). */
const MEMORY_UNITS: Readonly<Record<string, bigint>> = {
  '': 1n,
  b: 1n,
  k: 1_000n,
  kb: 1_024n,
  m: 1_000_000n,
  mb: 1_048_576n,
  g: 1_000_000_000n,
  gb: 1_073_741_824n,
};
const INTEGER_MAX = 2n ** 63n - 1n;

/** Bytes of `512mb`; undefined for what is no amount of memory. */
export function memoryBytes(text: string): bigint | undefined {
  const match = MEMORY.exec(text);
  if (match === null) return undefined;
  return BigInt(match[1] ?? '0') * (MEMORY_UNITS[(match[2] ?? '').toLowerCase()] ?? 1n);
}

/** What is wrong with the lines of a setting; undefined when nothing is. */
export function checkValues(key: string, kind: string, values: readonly string[]): string | undefined {
  if (values.length === 0) return 'has no value';
  if (values.length > 1 && !SEVERAL_LINES.has(key)) return 'takes one value, not a list';
  for (const value of values) {
    // A line end would begin a setting of its own.
    if (/[\p{Cc}\u2028\u2029]/u.test(value)) return 'holds a control character';
    if (value.length > VALUE_LENGTH_MAX) return `is longer than ${VALUE_LENGTH_MAX} characters`;
    const fault = checkValue(key, kind, value);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function checkValue(key: string, kind: string, value: string): string | undefined {
  const [type = '', ...rest] = kind.split(' ');
  const lower = value.toLowerCase();
  switch (type) {
    case 'bool':
      return lower === 'yes' || lower === 'no' ? undefined : `${shown(value)} is not yes or no`;
    case 'enum':
      return rest.some((word) => word.toLowerCase() === lower) ? undefined : wrongWord(value, rest);
    case 'enums': {
      const wrong = lower.split(/\s+/).find((word) => !rest.some((each) => each.toLowerCase() === word));
      return wrong === undefined ? undefined : wrongWord(wrong, rest);
    }
    case 'int':
      return checkInteger(value, rest);
    case 'memory':
      return checkMemory(value, rest);
    case 'percent':
      return /^\d{1,3}%$/.test(value) ? undefined : checkMemory(value, rest, ', or a percentage such as 5%');
    case 'special':
      return SPECIAL[key]?.(value);
    default:
      return undefined;
  }
}

/** Values are shown in messages; a long one is cut. */
function shown(value: string): string {
  return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
}

function wrongWord(value: string, words: readonly string[]): string {
  const guess = nearest(value.toLowerCase(), words);
  const hint = guess === null ? '' : `; did you mean '${guess}'?`;
  return `${shown(value)} is none of ${words.join(', ')}${hint}`;
}

function checkInteger(value: string, [least, most]: readonly string[]): string | undefined {
  if (!/^-?\d{1,20}$/.test(value)) {
    const hint = memoryBytes(value) === undefined ? '' : ': this setting takes no units';
    return `${shown(value)} is not a whole number${hint}`;
  }
  return checkBounds(BigInt(value), value, least, most);
}

function checkMemory(value: string, [least, most]: readonly string[], also = ''): string | undefined {
  const bytes = memoryBytes(value);
  if (bytes === undefined) return `${shown(value)} is not an amount of memory such as 512mb or 4gb${also}`;
  return checkBounds(bytes, value, least, most);
}

function checkBounds(number: bigint, value: string, least?: string, most?: string): string | undefined {
  const low = least === undefined || least === '*' ? undefined : BigInt(least);
  const high = most === undefined || most === '*' ? INTEGER_MAX : BigInt(most);
  if ((low === undefined || number >= low) && number <= high) return undefined;
  if (most === undefined || most === '*')
    return `${shown(value)} is ${number > high ? 'too large' : `less than ${least}`}`;
  return `${shown(value)} is not between ${least ?? 0} and ${most}`;
}

const wordsOf = (value: string) => (value.trim() === '' ? [] : value.trim().split(/\s+/));
const isWhole = (word: string) => /^\d{1,18}$/.test(word);

/** Settings with a grammar of their own. */
const SPECIAL: Readonly<Record<string, (value: string) => string | undefined>> = {
  save(value) {
    const words = wordsOf(value);
    const right =
      words.length % 2 === 0 && words.every((word, index) => isWhole(word) && (index % 2 === 1 || Number(word) >= 1));
    return right || value === '""' ? undefined : `${shown(value)} is not pairs of seconds and changes, such as 3600 1`;
  },
  'client-output-buffer-limit'(value) {
    const words = wordsOf(value);
    const right =
      words.length > 0 &&
      words.length % 4 === 0 &&
      words.every((word, index) => {
        if (index % 4 === 0) return /^(?:normal|replica|slave|pubsub)$/i.test(word);
        return index % 4 === 3 ? isWhole(word) : memoryBytes(word) !== undefined;
      });
    return right ? undefined : `${shown(value)} is not CLASS HARD SOFT SECONDS, such as pubsub 32mb 8mb 60`;
  },
  'notify-keyspace-events'(value) {
    const wrong = /[^AKEg$lshzxetdmnocTSHVOMNCR]/.exec(value.replace(/^""$/, ''))?.[0];
    return wrong === undefined ? undefined : `${shown(wrong)} is no class of events`;
  },
  'oom-score-adj-values'(value) {
    const words = wordsOf(value);
    const right =
      words.length === 3 && words.every((word) => /^-?\d{1,4}$/.test(word) && Math.abs(Number(word)) <= 2_000);
    return right ? undefined : `${shown(value)} is not three numbers from -2000 to 2000, such as 0 200 800`;
  },
  'latency-tracking-info-percentiles'(value) {
    const right =
      value === '""' || wordsOf(value).every((word) => /^\d{1,3}(?:\.\d{1,8})?$/.test(word) && Number(word) <= 100);
    return right ? undefined : `${shown(value)} is not a list of percentiles from 0 to 100`;
  },
};
