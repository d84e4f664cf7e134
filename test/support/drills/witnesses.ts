/** Clients that see the same drill from elsewhere, and are judged by themselves. */
import type { DrillReport } from '../../../src/drills/drill.js';
import type { Matrix, MatrixDrill, Stand } from './matrix.js';

/** What others wait at until it is opened. */
interface Gate {
  readonly passed: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

/**
 * Runs a drill, and another workload from before it begins until it is over.
 * @returns the report of the drill; that of the witnesses is kept with it
 */
export async function drillBefore(
  matrix: Matrix,
  drill: MatrixDrill & { readonly stand: Stand },
  witnesses: Omit<MatrixDrill, 'disturb'> & { readonly stand: Stand },
): Promise<DrillReport> {
  const ready = gate();
  const over = gate();
  const watching = matrix.drill(witnesses.stand, {
    // A client that knows the cluster would see nothing else.
    beside: undefined,
    ...witnesses,
    disturb: async () => {
      ready.open();
      await over.passed;
    },
  });
  // It is awaited in any case, below.
  watching.catch(() => ready.open());
  try {
    return await matrix.drill(drill.stand, {
      ...drill,
      disturb: async (...words) => {
        await ready.passed;
        await drill.disturb(...words);
      },
    });
  } finally {
    over.open();
    await watching;
  }
}
