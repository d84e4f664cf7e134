/**
 * Arithmetic on unsigned 64-bit numbers as two 32-bit halves. A BigInt would allocate on every operation; these work
 * on the processor's own integers.
 */

/** Where a hash function leaves the upper half of its result. */
export const HI = 0;
/** Where a hash function leaves the lower half of its result. */
export const LO = 1;

const TWO_32 = 0x1_0000_0000;

/** Divisors of {@link remainder64} stay below this, so that every intermediate value is an exact double. */
export const DIVISOR_MAX = 1 << 26;

/** The upper 32 bits of the product of two unsigned 32-bit numbers (given as any 32 bits; the result is signed). */
export function productHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = Math.imul(aLow, bLow);
  const cross1 = Math.imul(aHigh, bLow);
  const cross2 = Math.imul(aLow, bHigh);
  const carry = ((low >>> 16) + (cross1 & 0xffff) + (cross2 & 0xffff)) >>> 16;
  return (Math.imul(aHigh, bHigh) + (cross1 >>> 16) + (cross2 >>> 16) + carry) | 0;
}

/** 2³² modulo the divisor, which {@link remainder64} takes so that it is made once per divisor. */
export function wrapOf(divisor: number): number {
  return TWO_32 % divisor;
}

/**
 * `(hi · 2³² + lo) mod divisor`, exactly; both halves unsigned, the divisor in 1..{@link DIVISOR_MAX}. Division and
 * floor are used because `%` on numbers above 2³¹ is a call of fmod; a quotient of integers below 2⁵³ never rounds up
 * to the next integer.
 */
export function remainder64(hi: number, lo: number, divisor: number, wrap: number): number {
  const high = hi - Math.floor(hi / divisor) * divisor;
  const sum = high * wrap + lo;
  return sum - Math.floor(sum / divisor) * divisor;
}

/** The prime of {@link remainderFermat}, which is also Maglev's default table size. */
export const FERMAT_PRIME = 65_537;

/**
 * `(hi · 2³² + lo) mod 65537` of any two 32-bit halves, without a division: 2¹⁶ is −1 there, so the four 16-bit digits are
 * added with signs in turn. About 10 ns less than {@link remainder64}.
 */
export function remainderFermat(hi: number, lo: number): number {
  const sum = (lo & 0xffff) - (lo >>> 16) + (hi & 0xffff) - (hi >>> 16);
  // In -131070..131070: one or two steps lead into 0..65536.
  if (sum < 0) return sum < -FERMAT_PRIME ? sum + 2 * FERMAT_PRIME : sum + FERMAT_PRIME;
  return sum < FERMAT_PRIME ? sum : sum - FERMAT_PRIME;
}
