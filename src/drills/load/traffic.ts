/** What a load consists of. Pure. */
import { ForgeError } from '../../errors.js';

export interface TrafficOptions {
  /** Of all commands, the part that reads: 0 to 1. */
  readonly reads: number;
  /** Bytes of a value. */
  readonly bytes: number;
  /** Different keys. */
  readonly keys: number;
  /** Keys begin with it. */
  readonly prefix: string;
}

export const RATE_MAX = 10_000_000;
export const TARGETS_MAX = 50;
/** Keys of a load that is killed are gone after this time. */
export const TTL_S = 3_600;

/** Commands as they come, each key as often as any other. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #value: string;
  readonly #random: () => number;

  /** @param random 0 to below 1 */
  constructor(options: TrafficOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#value = 'x'.repeat(options.bytes);
    this.#random = random;
  }

  /** Of a value. */
  get bytes(): number {
    return this.#options.bytes;
  }

  key(number: number): string {
    return `${this.#options.prefix}${number}`;
  }

  write(number: number): readonly string[] {
    return ['SET', this.key(number), this.#value, 'EX', String(TTL_S)];
  }

  next(): readonly string[] {
    const number = Math.floor(this.#random() * this.#options.keys);
    return this.#random() < this.#options.reads ? ['GET', this.key(number)] : this.write(number);
  }

  /** Whether the reply is one to this command: a value of its length, or none; OK. */
  isRight([name]: readonly string[], reply: unknown): boolean {
    if (name === 'SET') return reply === 'OK';
    return reply === null || (typeof reply === 'string' && reply.length === this.#value.length);
  }
}

/** `10k,20k,1.5m` → operations a second. @throws ForgeError `usage` */
export function parseRates(text: string, flag: string): number[] {
  const rates = text.split(',').map((word) => {
    const match = /^(\d{1,8}(?:\.\d{1,3})?)([km]?)$/i.exec(word.trim());
    const unit = { '': 1, k: 1_000, m: 1_000_000 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
    return match === null ? Number.NaN : Number(match[1]) * unit;
  });
  if (rates.length <= TARGETS_MAX && rates.every((rate) => rate >= 1 && rate <= RATE_MAX)) return rates;
  throw new ForgeError('usage', `${flag} ${text}: this is no rate.`, {
    next: `Write operations a second, such as 500, 10k or 1m, ${RATE_MAX / 1_000_000}m at most.`,
  });
}
