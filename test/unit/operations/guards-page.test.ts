import { describe, expect, it } from 'vitest';
import { GUARDS } from '../../../src/operations/guards/index.js';
import { readText } from '../../support/repository.js';

describe('docs/guards.md', () => {
  it('names every guard and what it protects from, in their order, and no other', () => {
    const rows = [...readText('docs/guards.md').matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)];
    expect(rows.map(([, name, protects]) => ({ name, protects }))).toEqual(
      GUARDS.map(({ name, protects }) => ({ name, protects })),
    );
  });
});
