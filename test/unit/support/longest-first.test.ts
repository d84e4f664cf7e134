import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LONGEST, placeOf } from '../../support/longest-first.js';
import { ROOT } from '../../support/repository.js';

describe('files of tests that take longest', () => {
  it('are those of the list, which are there, in its order before all others', () => {
    expect(LONGEST.filter((end) => !existsSync(path.join(ROOT, 'test', end)))).toEqual([]);
    const places = LONGEST.map((end) => placeOf(path.join(ROOT, 'test', end)));
    expect(places).toEqual(LONGEST.map((_, index) => index));
    expect(placeOf(path.join(ROOT, 'test/unit/other.test.ts'))).toBe(LONGEST.length);
    expect(placeOf(path.join(ROOT, 'test/other-docker/local-cluster.test.ts'))).toBe(LONGEST.length);
  });
});
