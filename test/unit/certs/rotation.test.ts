import { describe, expect, it } from 'vitest';
import type { StoredPair } from '../../../src/certs/directory.js';
import { judgeStep, type RotationStep, rotationAdvice, rotationState } from '../../../src/certs/rotation.js';

const there: StoredPair = { certificateFile: 'x', keyFile: 'y' };
type State = 'none' | 'announced' | 'switched';
const STATES: Record<State, { path: string; next?: StoredPair; previous?: StoredPair }> = {
  none: { path: '/c' },
  announced: { path: '/c', next: there },
  switched: { path: '/c', previous: there },
};

describe('a change of the CA', () => {
  it.each<[State, RotationStep, 'do' | 'done' | RegExp]>([
    ['none', 'rotate', 'do'],
    ['none', 'switch', /no next CA/],
    ['none', 'retire', 'done'],
    ['announced', 'rotate', 'done'],
    ['announced', 'switch', 'do'],
    ['announced', 'retire', /still signs/],
    ['switched', 'rotate', /still trusted/],
    ['switched', 'switch', 'done'],
    ['switched', 'retire', 'do'],
  ])('in the state %s takes the step %s: %s', (state, step, outcome) => {
    const judged = () => judgeStep(step, STATES[state]);
    if (outcome instanceof RegExp) expect(judged).toThrow(outcome);
    else expect(judged()).toBe(outcome);
  });

  it('is known by the files that are there, and says what is next', () => {
    for (const [state, stored] of Object.entries(STATES)) expect(rotationState(stored)).toBe(state);
    expect(rotationAdvice('none', '/c')).toBeUndefined();
    expect(rotationAdvice('announced', '/c')?.next).toContain('/c --switch-ca');
    expect(rotationAdvice('switched', '/c')?.next).toContain('/c --retire-ca');
    for (const state of ['announced', 'switched'] as const) {
      expect(rotationAdvice(state, '/c')?.next).toContain('forge gen-certs /c --install --all');
    }
  });

  it('is refused where files are there that no step leaves behind', () => {
    for (const step of ['rotate', 'switch', 'retire'] as const) {
      expect(() => judgeStep(step, { path: '/c', next: there, previous: there })).toThrow(/no step/);
    }
  });
});
