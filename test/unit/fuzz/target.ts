/** What is fuzzed: something that reads what others wrote, with inputs of any kind and what must hold for each of them. */
import fc from 'fast-check';

/** FORGE_SEED repeats a run; a new one is taken, and printed, when it is not given. */
export const SEED = Number(process.env['FORGE_SEED'] ?? Math.floor(Math.random() * 1e9));

/** How long each target is tried; FORGE_FUZZ_SECONDS for long runs. */
const MS_DEFAULT = 150;
export const FUZZ_MS = process.env['FORGE_FUZZ_SECONDS']
  ? 1_000 * Number(process.env['FORGE_FUZZ_SECONDS'])
  : MS_DEFAULT;

/** Inputs have some kilobytes: whatever takes longer for one of them would take for ever for a large one. */
const PROCESSOR_MS_MAX = 2_000;
const RUNS_MAX = 1e9;

export interface Target {
  readonly name: string;
  /** Tries inputs until the time is over. @throws with the input, made as small as it goes, and how it is tried again */
  run(options: { readonly seed: number; readonly ms: number }): Promise<number>;
}

/** @param check throws where something does not hold, or where anything but a refusal comes out of what is tried */
export function target<Value>(
  name: string,
  inputs: fc.Arbitrary<Value>,
  check: (value: Value) => void | Promise<void>,
): Target {
  return {
    name,
    async run({ seed, ms }) {
      let runs = 0;
      const property = fc.asyncProperty(inputs, async (value) => {
        runs++;
        const before = process.cpuUsage();
        const done = check(value);
        if (done !== undefined) await done;
        const { user } = process.cpuUsage(before);
        if (user / 1_000 > PROCESSOR_MS_MAX) throw new Error(`it took ${Math.round(user / 1_000)} ms of the processor`);
      });
      await fc.assert(property, { seed, numRuns: RUNS_MAX, interruptAfterTimeLimit: ms });
      return runs;
    },
  };
}

/** The result, or the refusal, which must be one of these classes; anything else goes through. */
export function resultOf<Result, Refusal extends Error>(
  work: () => Result,
  ...refusals: (abstract new (
    ...words: never[]
  ) => Refusal)[]
): { readonly result: Result; readonly refusal?: undefined } | { readonly refusal: Refusal } {
  try {
    return { result: work() };
  } catch (error) {
    const refusal = refusals.find((each) => error instanceof each);
    if (refusal === undefined) throw error;
    return { refusal: error as Refusal };
  }
}

/** Thrown by targets. */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** Compares by their JSON, which is fast; maps and typed arrays are not for this. */
export function mustEqual(one: unknown, other: unknown, what: string): void {
  const [left, right] = [JSON.stringify(one), JSON.stringify(other)];
  if (left !== right) throw new Error(`${what}: ${left?.slice(0, 500)} is not ${right?.slice(0, 500)}`);
}
