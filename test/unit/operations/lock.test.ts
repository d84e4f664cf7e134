import { describe, expect, it } from 'vitest';
import { EXPIRY_SECONDS, judge, LEFT_BEHIND_SECONDS, stayedSilent } from '../../../src/operations/lock/judge.js';
import {
  connectionsOf,
  type LockClaim,
  type LockOwner,
  lockName,
  parseClaims,
  workName,
} from '../../../src/operations/lock/name.js';

const owner = (token: string): LockOwner => ({
  token: token.repeat(16),
  user: 'ada lovelace',
  host: 'ops:1',
  pid: 42,
  operation: 'scale add',
  startedAt: '2026-11-21T19:00:00.000Z',
});
const claim = (token: string, phase: LockClaim['phase'], idleSeconds: number, clientId = '9'): LockClaim => ({
  owner: owner(token),
  phase,
  clientId,
  idleSeconds,
});
const on = (claims: Record<string, LockClaim[]>) => new Map(Object.entries(claims));
const ME = owner('5').token;

describe('the name of a lock', () => {
  it('is read back from CLIENT LIST, whatever the words in it, and among other clients', () => {
    const name = lockName(owner('a'), 'holding');
    expect(name).toMatch(/^[!-~]+$/);
    const list = [
      'id=3 addr=127.0.0.1:1 name=app idle=0 cmd=get',
      `id=4 addr=127.0.0.1:2 name=${name} age=9 idle=7 flags=N`,
      `id=5 addr=127.0.0.1:3 name=${workName(owner('a').token)} idle=0`,
      'id=6 name=forge-lock:9:zz:holding idle=0',
      'id=7 name= idle=0',
    ].join('\n');
    expect(parseClaims(list)).toEqual([claim('a', 'holding', 7, '4')]);
    expect(connectionsOf(list, owner('a').token)).toEqual(['4', '5']);
    expect(connectionsOf(list, owner('b').token)).toEqual([]);
  });

  it('stays short with a user and a host of any length', () => {
    expect(lockName({ ...owner('a'), user: 'ä'.repeat(5_000), host: 'h'.repeat(5_000) }, 'asking').length).toBeLessThan(
      800,
    );
  });
});

describe('one who asks for the lock', () => {
  it('has it when nobody else claims it', () => {
    expect(judge(on({ n1: [claim('5', 'asking', 0)], n2: [] }), ME)).toEqual({ verdict: 'free' });
  });

  it('does not have it as long as anybody alive holds it on any node', () => {
    const claims = on({ n1: [], n2: [claim('9', 'holding', 3)], n3: [claim('9', 'holding', 999)] });
    expect(judge(claims, ME)).toMatchObject({ verdict: 'held', owner: owner('9'), nodes: ['n2', 'n3'] });
  });

  it('goes first or steps back, but never both, when two ask at the same time', () => {
    const both = on({ n1: [claim('5', 'asking', 0), claim('9', 'asking', 0)] });
    expect(judge(both, owner('5').token)).toMatchObject({ verdict: 'contended' });
    expect(judge(both, owner('9').token)).toMatchObject({ verdict: 'held' });
  });

  it('looks again when all claims are old, and takes over only what stayed silent', () => {
    const old = on({ n1: [claim('9', 'holding', EXPIRY_SECONDS)], n2: [claim('9', 'holding', EXPIRY_SECONDS + 1)] });
    expect(judge(old, ME)).toMatchObject({ verdict: 'expired', owners: [owner('9')] });
    const later = (a: number, b: number) =>
      on({ n1: [claim('9', 'holding', a)], n2: [claim('9', 'holding', b), claim('5', 'asking', 0)] });
    expect(stayedSilent(old, later(34, 35), ME)).toBe(true);
    // The clock of n1 had jumped forward; its owner was heard since.
    expect(stayedSilent(old, later(1, 35), ME)).toBe(false);
    // Back again under the limit: the clock jumped, who knows.
    expect(stayedSilent(old, later(34, 5), ME)).toBe(false);
  });

  it('waits less for an owner that has left most nodes: the rest was cut off when it ended', () => {
    const left = (idle: number) => on({ n1: [claim('9', 'holding', idle)], n2: [], n3: [] });
    expect(judge(left(LEFT_BEHIND_SECONDS - 1), ME)).toMatchObject({ verdict: 'held' });
    expect(judge(left(LEFT_BEHIND_SECONDS), ME)).toMatchObject({ verdict: 'expired', owners: [owner('9')] });
    expect(stayedSilent(left(LEFT_BEHIND_SECONDS), left(LEFT_BEHIND_SECONDS + 4), ME)).toBe(true);
    expect(stayedSilent(left(LEFT_BEHIND_SECONDS), left(1), ME)).toBe(false);
    // It has come back to another node: it lives.
    const back = on({ n1: [claim('9', 'holding', 16)], n2: [claim('9', 'holding', 0)], n3: [] });
    expect(stayedSilent(left(LEFT_BEHIND_SECONDS), back, ME)).toBe(false);
    const half = on({ n1: [claim('9', 'holding', LEFT_BEHIND_SECONDS)], n2: [] });
    expect(judge(half, ME)).toMatchObject({ verdict: 'held' });
  });

  it('takes nothing over when the old owner has come back by another connection meanwhile', () => {
    const old = on({ n1: [claim('9', 'holding', 40, '7')] });
    expect(stayedSilent(old, on({ n1: [claim('9', 'holding', 40, '8')] }), ME)).toBe(false);
    expect(stayedSilent(old, on({ n1: [] }), ME)).toBe(true);
  });

  it('is kept waiting, not let in, by a server whose clock jumped back', () => {
    expect(judge(on({ n1: [claim('9', 'holding', -3_600)] }), ME)).toMatchObject({ verdict: 'held' });
  });
});
