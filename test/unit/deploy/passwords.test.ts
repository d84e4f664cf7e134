import { describe, expect, it } from 'vitest';
import { notLetIn, refusedLogin, requireSamePasswords } from '../../../src/deploy/passwords.js';
import type { DeployAction } from '../../../src/deploy/plan.js';
import { redisContainer } from '../../../src/deploy/redis-container.js';
import { REDIS_FILES } from '../../../src/deploy/redis-files.js';
import { deploySettings } from '../../support/deploy-settings.js';

/** A node of which these lines of its password file are there, and those are wanted. */
function action({ before, after }: { before?: string; after?: string }): DeployAction {
  const settings = deploySettings({ ports: [7901] });
  const [node] = settings.nodes;
  if (node === undefined) throw new Error('no node');
  const files = after === undefined ? [] : [{ path: REDIS_FILES.auth, content: after }];
  const owner = { mode: 0o400, uid: 10_001, gid: 10_001 };
  const there = before === undefined ? [] : [[REDIS_FILES.auth, { content: Buffer.from(before), ...owner }] as const];
  const observed = { name: 'n', files: new Map(there) } as unknown as NonNullable<DeployAction['observed']>;
  return {
    kind: 'replace',
    desired: redisContainer(settings, node, files),
    observed,
    revision: 2,
    reasons: [],
    live: [],
  };
}

describe('passwords that stand in the way of a deployment', () => {
  it('are the login that a node refuses, and no other fault', () => {
    expect(refusedLogin('WRONGPASS invalid username-password pair\nNOAUTH Authentication required.\n')).toMatch(
      /^WRONGPASS/,
    );
    expect(refusedLogin('OK\ncluster_known_nodes:6\n')).toBeUndefined();
    expect(refusedLogin('OK\nERR This instance has cluster support disabled\n')).toBeUndefined();
    const error = notLetIn(action({}), 'WRONGPASS', ['More.']);
    expect(error).toMatchObject({ kind: 'denied', host: 'here', next: expect.arrayContaining(['More.']) });
    expect(error.next.join(' ')).toContain('docs/deploy.md');
  });

  it('keep nodes from being replaced in an order while they change, with the next step', () => {
    const same = action({ before: 'masterauth "one"\n', after: 'masterauth "one"\n' });
    expect(() => requireSamePasswords([same, same])).not.toThrow();
    expect(() => requireSamePasswords([])).not.toThrow();
    const other = action({ before: 'masterauth "one"\n', after: 'masterauth "two"\n' });
    expect(() => requireSamePasswords([same, other])).toThrow(
      expect.objectContaining({
        kind: 'refused',
        message: expect.stringContaining(other.desired.options.name),
        next: expect.arrayContaining([expect.stringMatching(/the password alone/)]),
        details: { nodes: [other.desired.options.name] },
      }),
    );
    // Neither password is told.
    expect(() => requireSamePasswords([other])).not.toThrow(/one"|two"/);
  });

  it('do not keep those whose files were not seen, or that begin to have one', () => {
    expect(() => requireSamePasswords([action({ after: 'masterauth "two"\n' })])).not.toThrow();
    expect(() => requireSamePasswords([action({ before: 'masterauth "one"\n' })])).not.toThrow();
  });
});
