import { describe, expect, it } from 'vitest';
import { findConflicts, findUnfit, hostIdentity, isBegun } from '../../../../src/cluster/init/admission.js';
import { leftovers, usualNodeTimeout } from '../../../../src/cluster/init/leftover.js';
import type { Member } from '../../../../src/cluster/init/member.js';
import { planInit } from '../../../../src/cluster/init/plan.js';
import { problemFrom, throwProblems } from '../../../../src/cluster/init/problems.js';
import { targetOf } from '../../../../src/cluster/init/target.js';
import { ForgeError } from '../../../../src/errors.js';
import { idOf, line, type MemberOptions, member } from './members.js';

const textsOf = (problems: readonly { node: string; text: string }[]) =>
  problems.map(({ node, text }) => `${node} ${text}`);

/** Six members; the options of some by number. Masters are 1, 2, 3; their replicas 4, 5, 6. */
function conflictsWith(options: Record<number, MemberOptions>): string[] {
  const members: Member[] = [1, 2, 3, 4, 5, 6].map((number) => member(number, options[number]));
  const plan = planInit(
    members.map(({ label }) => ({ label, host: 'one' })),
    1,
  );
  const idByLabel = new Map(members.map(({ label, id }) => [label, id]));
  return textsOf(
    findConflicts(
      members,
      plan,
      targetOf(plan, (label) => idByLabel.get(label) ?? ''),
    ),
  );
}

describe('nodes that fit a plan', () => {
  it('are empty and alone', () => {
    expect(conflictsWith({})).toEqual([]);
  });

  it('may have what an interrupted run of the same plan gave them, keys of a served cluster included', () => {
    const table = [
      line(1, 'master', undefined, '0-5460'),
      line(2, 'master', undefined, '5461-10922'),
      line(3, 'master', undefined, '10923-16383'),
      line(4, 'slave', 1),
    ];
    const seenBy = (number: number) => table.map((text, index) => (index === number - 1 ? mark(text) : text));
    const mark = (text: string) => text.replace(/ (master|slave) /, ' myself,$1 ');
    expect(
      conflictsWith({
        1: { table: seenBy(1), keys: 12 },
        2: { table: [mark(table[1] as string)] },
        4: { table: seenBy(4), keys: 12 },
      }),
    ).toEqual([]);
  });
});

describe('nodes that do not fit a plan', () => {
  it('hold keys, also when their slots happen to be the planned ones but they know nobody', () => {
    const table = [line(1, 'myself,master', undefined, '0-5460')];
    expect(conflictsWith({ 1: { table, keys: 1 }, 5: { keys: 3 } })).toEqual([
      '10.0.0.1:6379 holds 1 key',
      '10.0.0.5:6379 holds 3 keys',
    ]);
  });

  it('serve slots that the plan gives to others', () => {
    expect(conflictsWith({ 1: { table: [line(1, 'myself,master', undefined, '0-16383')] } })).toEqual([
      '10.0.0.1:6379 already serves 16384 slots (0-16383), which is not what the plan gives it',
    ]);
  });

  it('replicate another master than the planned one', () => {
    const table = [line(4, 'myself,slave', 2), line(2, 'master', undefined)];
    expect(conflictsWith({ 4: { table } })).toEqual([
      '10.0.0.4:6379 is a replica of 10.0.0.2:6379, and the plan makes it a replica of 10.0.0.1:6379',
    ]);
    const promoted = [line(1, 'myself,slave', 2), line(2, 'master', undefined)];
    expect(conflictsWith({ 1: { table: promoted } })[0]).toContain('the plan makes it a master');
  });

  it('know strangers, or have slots in migration', () => {
    const strangers = [line(3, 'myself,master', undefined), line(77, 'master,fail', undefined, '1-5', 'disconnected')];
    const open = [line(2, 'myself,master', undefined, `5461-10922 [5461->-${idOf(3)}]`)];
    expect(conflictsWith({ 2: { table: open }, 3: { table: strangers, keys: 9 } })).toEqual([
      '10.0.0.2:6379 has slots in migration',
      '10.0.0.3:6379 belongs to another cluster: it knows 10.0.0.77:6379 (00000000…)',
    ]);
  });
});

describe('nodes that fit no plan', () => {
  const unfit = (members: Member[], replicas = true) => textsOf(findUnfit(members, { replicas }));

  it('load their data, run another major version, or lack the password of their master', () => {
    expect(
      unfit([
        member(1),
        member(2, { loading: true }),
        member(3, { version: '8.0.2' }),
        member(4, { version: '7.2.0' }),
        member(5, { masterPasswordMissing: true }),
      ]),
    ).toEqual([
      '10.0.0.2:6379 is still loading its data',
      '10.0.0.3:6379 runs redis 8.0.2, while 10.0.0.1:6379 runs redis 7.0.15',
      expect.stringContaining('10.0.0.5:6379 asks for a password but has no masterauth'),
    ]);
    expect(unfit([member(1), member(2, { masterPasswordMissing: true })], false)).toEqual([]);
  });

  it('are the same node twice', () => {
    expect(unfit([member(1), member(2, { id: idOf(1) })])).toEqual([
      `10.0.0.2:6379 is the same node as 10.0.0.1:6379 (both have the id ${idOf(1)})`,
    ]);
  });

  it('are on loopback addresses beside others; all on loopback is fine', () => {
    expect(unfit([member(1, { ip: '127.0.0.1' }), member(2)])).toEqual([
      '10.0.0.1:6379 is a loopback address (127.0.0.1), which nodes on other hosts cannot reach',
    ]);
    expect(unfit([member(1, { ip: '127.0.0.1' }), member(2, { ip: '::1' })])).toEqual([]);
    expect(hostIdentity('127.0.1.1')).toBe(hostIdentity('::1'));
    expect(hostIdentity('10.0.0.1')).not.toBe(hostIdentity('10.0.0.2'));
  });
});

describe('marks of an interrupted run', () => {
  it('are slots, acquaintances and masters', () => {
    expect(isBegun([member(1), member(2)])).toBe(false);
    expect(isBegun([member(1), member(2, { table: [line(2, 'myself,master', undefined, '1')] })])).toBe(true);
    const met = [line(2, 'myself,master', undefined), line(1, 'master', undefined)];
    expect(isBegun([member(1), member(2, { table: met })])).toBe(true);
  });

  it('include a node timeout that nobody configures; what it was is known only when all others agree', () => {
    const members = [501, 15_000, undefined, 15_000].map((nodeTimeoutMs, index) => member(index, { nodeTimeoutMs }));
    expect(leftovers(members)).toEqual([members[0]]);
    expect(usualNodeTimeout(members)).toBe(15_000);
    expect(usualNodeTimeout([...members, member(9, { nodeTimeoutMs: 5_000 })])).toBeUndefined();
    expect(usualNodeTimeout([member(1, { nodeTimeoutMs: 501 })])).toBeUndefined();
  });
});

describe('problems of several nodes', () => {
  it('become one error of the gravest kind that names every node', () => {
    const refused = problemFrom('b:1', new ForgeError('refused', 'b:1 holds 1 key.', { next: 'Empty it.' }));
    const denied = problemFrom('a:1', new ForgeError('denied', 'a:1: the password is wrong.', { next: 'Check it.' }));
    const thrown = (() => {
      try {
        throwProblems([refused, denied], 6);
      } catch (error) {
        return error as ForgeError;
      }
    })();
    expect(thrown).toMatchObject({ kind: 'denied', host: 'a:1', next: ['Empty it.', 'Check it.'] });
    expect(thrown?.message).toBe('2 of 6 nodes cannot be used:\n  b:1 holds 1 key\n  a:1 the password is wrong');
    expect(() => throwProblems([], 6)).not.toThrow();
  });

  it('leave a fault of the program as it is', () => {
    expect(() => problemFrom('a:1', new TypeError('fault'))).toThrow(TypeError);
  });
});
