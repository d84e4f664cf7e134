/** Numbers as people read them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const STEP = 1024;

/** `1.5 GiB`. */
export function bytes(number: number): string {
  let value = number;
  let unit = 0;
  while (value >= STEP && unit < UNITS.length - 1) {
    value /= STEP;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${UNITS[unit]}`;
}

/** `12 %`, `0.4 %`. */
export function percent(part: number): string {
  const value = part * 100;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`;
}

/** Redis's own units: `k` is 1000, `kb` is 1024, and so on. */
const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

/** `3gb` in bytes, as redis.conf has it; undefined for what is no size. */
export function parseMemory(text: string): number | undefined {
  const match = /^([0-9]{1,15})([a-z]{0,2})$/.exec(text.trim().toLowerCase());
  const unit = MEMORY_UNITS[match?.[2] ?? '-'];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
