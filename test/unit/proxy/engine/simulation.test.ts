import { describe, it } from 'vitest';
import { World } from './support/world.js';

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 300);
/** Replays one seed: SIMULATION_SEED=17 npx vitest run test/unit/proxy/engine/simulation.test.ts */
const ONLY = process.env.SIMULATION_SEED;
const FIRST = Number(process.env.SIMULATION_FIRST ?? 1);

describe('the engine among failing nodes, moving slots and rude clients', () => {
  const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, i) => FIRST + i) : [Number(ONLY)];
  it('gives every client its own replies in order, and executes no write twice', { timeout: 120_000 }, () => {
    for (const seed of seeds) {
      const world = new World(seed, ONLY !== undefined);
      try {
        world.run();
      } catch (error) {
        for (const line of world.trace) console.log(line);
        const hint = `seed ${seed}; replay with SIMULATION_SEED=${seed}`;
        throw new Error(`${hint}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
});
