import { describe, expect, it } from 'vitest';
import { health, phaseFault } from '../../../src/local/status.js';
import { nodeFault } from '../../../src/local/view.js';

const whole = { reachable: true, knownNodes: 6, clusterState: 'ok', inSync: true };

describe('nodeFault', () => {
  it('finds none in a node that knows all others and is in sync', () => {
    expect(nodeFault(whole, 6)).toBeUndefined();
  });

  it.each([
    [{ reachable: false, fault: 'refused' }, 'refused'],
    [{ reachable: true, loadingPercent: 45 }, 'it loads its data (45 %)'],
    [{ ...whole, knownNodes: 1 }, 'it knows 1 of 6 nodes'],
    [{ ...whole, clusterState: 'fail' }, 'its cluster state is "fail"'],
    [{ ...whole, inSync: false }, 'it is not in sync with its master'],
  ])('of %j is told in words', (view, words) => {
    expect(nodeFault(view, 6)).toBe(words);
  });
});

describe('health', () => {
  const good = { phase: 'running', fault: null } as const;
  const gone = { phase: 'lost', fault: 'gone' } as const;
  const slow = { phase: 'running', fault: 'loading' } as const;

  it('is up only when nothing has a fault', () => {
    expect(health([good, good], good)).toBe('up');
    expect(health([good, good], null)).toBe('up');
  });

  it('is degraded when something runs and something has a fault', () => {
    expect(health([good, gone], good)).toBe('degraded');
    expect(health([good, good], gone)).toBe('degraded');
    expect(health([slow, slow], null)).toBe('degraded');
  });

  it('is stopped when nothing runs', () => {
    expect(health([gone, gone], gone)).toBe('stopped');
  });
});

describe('phaseFault', () => {
  it('names the signal that ended a process', () => {
    expect(phaseFault({ phase: 'waiting', lastExit: 137 })).toBe('it crashed (signal 9) and is about to be restarted');
    expect(phaseFault({ phase: 'failed', lastExit: 1 })).toContain('(code 1)');
  });

  it('has nothing to say about one that runs', () => {
    expect(phaseFault({ phase: 'running' })).toBeUndefined();
  });
});
