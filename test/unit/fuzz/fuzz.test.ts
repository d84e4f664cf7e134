/**
 * Everything that reads what others wrote, with inputs that are nearly right, for a bounded time: `npm run fuzz -- --seconds 60`
 * tries each for a minute. What fails is told with the smallest input that does, and is tried again by `--seed`.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { FUZZ_MS, SEED } from './target.js';
import { archives } from './targets/archives.js';
import { clusters } from './targets/clusters.js';
import { configurations } from './targets/configurations.js';
import { manifests, removeFolder } from './targets/manifests.js';
import { resp } from './targets/resp.js';

/** For the smallest input to be found. */
const SHRINK_MS = 60_000;

console.log(`Fuzzing with FORGE_SEED=${SEED}, ${FUZZ_MS} ms each`);

afterAll(removeFolder);

describe('whatever comes in is read or refused, and nothing else happens', () => {
  it.each(
    [...resp, ...clusters, ...configurations, ...manifests, ...archives].map((each) => [each.name, each] as const),
  )(
    '%s',
    async (_, each) => {
      expect(await each.run({ seed: SEED, ms: FUZZ_MS })).toBeGreaterThan(0);
    },
    FUZZ_MS + SHRINK_MS,
  );
});
