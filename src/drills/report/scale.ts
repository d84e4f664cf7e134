/** From values to places on a drawing, and the values that are written beside it. Pure. */

export interface Scale {
  /** 0 at the foot, 1 at the top; values beyond the scale are at its end. */
  at(value: number): number;
  /** In ascending order, each inside of the scale. */
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 5];
const TICKS_WANTED = 4;

/** From 0 to a round number that is not below the highest value. */
export function linearScale(highest: number): Scale {
  const rough = Math.max(highest, 1) / TICKS_WANTED;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, (STEPS.find((each) => each * power >= rough) ?? 10) * power);
  const top = Math.ceil(Math.max(highest, 1) / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  return { at: (value) => clamped(value / top), ticks };
}

/** Powers of ten: what takes a second is seen beside what takes a millisecond. What is 0 is at the foot. */
export function logarithmicScale(values: readonly number[]): Scale {
  const known = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(1, ...known)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...known))));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { at: (value) => (value > 0 ? clamped((Math.log10(value) - low) / (high - low)) : 0), ticks };
}

const clamped = (part: number) => Math.min(1, Math.max(0, part));

/** Round numbers of seconds for the axis of time, `0` first. @param wanted about so many */
export function secondTicks(seconds: number, wanted = 12): number[] {
  const rough = Math.max(1, seconds / wanted);
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((each) => each >= rough) ?? 600;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}
