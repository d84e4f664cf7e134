import { describe, expect, it } from 'vitest';
import { World } from './support/world.js';

/**
 * How many seeds are run, from which one on. A failing seed is named in the error; it is replayed, with a trace of all
 * that happened, by `SIMULATION_SEED=17 npx vitest run test/unit/proxy/engine/simulation.test.ts`.
 */
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 100);
const FIRST = Number(process.env['SIMULATION_FIRST'] ?? 1);
const ONLY = process.env['SIMULATION_SEED'];

function run(seed: number, traced = false): World {
  const world = new World(seed, traced);
  try {
    world.run();
  } catch (error) {
    const hint = `seed ${seed} (replay with SIMULATION_SEED=${seed})`;
    throw new Error([...world.trace, `${hint}: ${(error as Error).message}`].join('\n'), { cause: error });
  }
  return world;
}

describe('the engine among failing nodes, moving slots and rude clients', () => {
  const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, i) => FIRST + i) : [Number(ONLY)];

  it("gives every client its own replies in order, executes no write twice, and each command with its user's rights", {
    timeout: 600_000,
  }, () => {
    const seen = { answered: 0, losses: 0, refused: 0, turnedAway: 0, owned: 0, users: 0 };
    for (const seed of seeds) {
      const { clients, losses, cluster } = run(seed, ONLY !== undefined);
      for (const { answered } of clients) seen.answered += answered;
      seen.losses += losses;
      seen.refused += cluster.refused.size;
      seen.turnedAway += cluster.turnedAwayBy.size;
      seen.owned += cluster.owned;
      seen.users += cluster.users.size;
    }
    if (seeds.length < 100) return;
    // A world in which nothing happens proves nothing.
    expect(seen.answered).toBeGreaterThan(100 * seeds.length);
    expect(seen.users).toBeGreaterThan(seeds.length);
    expect(seen.owned).toBeGreaterThan(50 * seeds.length);
    for (const count of [seen.losses, seen.refused, seen.turnedAway]) expect(count).toBeGreaterThan(seeds.length);
  });

  it('does the same again for the same seed', () => {
    expect(run(7, true).trace).toEqual(run(7, true).trace);
  });
});
