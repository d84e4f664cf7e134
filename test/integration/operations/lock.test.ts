import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { LEFT_BEHIND_SECONDS } from '../../../src/operations/lock/judge.js';
import { ClusterLock, newToken, thisOperator } from '../../../src/operations/lock/lock.js';
import { lockName, workName } from '../../../src/operations/lock/name.js';
import { lockStatus, releaseLock } from '../../../src/operations/lock/status.js';
import type { ClusterSession } from '../../../src/operations/session.js';
import { openSession } from '../../support/operations/join.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';
import { failureOf } from '../cluster/formed.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startCluster({ masters: 3 });
});
afterAll(() => cluster.stop());

const sessions: ClusterSession[] = [];
const locks: ClusterLock[] = [];
afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release();
  for (const session of sessions.splice(0)) session.close();
});

async function open(): Promise<ClusterSession> {
  const session = await openSession(cluster.addresses);
  sessions.push(session);
  return session;
}

async function take(session: ClusterSession, heartbeatMs = 100): Promise<ClusterLock> {
  const owner = { ...thisOperator(), token: session.token, operation: 'test', startedAt: new Date().toISOString() };
  const lock = await ClusterLock.acquire({ pool: session.pool, nodeIds: session.memberIds, owner, heartbeatMs });
  locks.push(lock);
  return lock;
}

describe('the lock of a cluster', () => {
  it('is one operator’s at a time, is shown by every node, and free again when it is released', async () => {
    const [first, second] = [await open(), await open()];
    const lock = await take(first);
    await lock.requireHeld();
    const failure = await failureOf(take(second));
    expect(failure).toMatchObject({ kind: 'locked', exitCode: 6 });
    expect(failure.message).toContain(`process ${process.pid}, test`);
    const status = await lockStatus(second.pool, second.memberIds);
    expect(status).toMatchObject([{ phase: 'holding', expired: false, owner: { token: first.token } }]);
    expect(status[0]?.nodeIds).toHaveLength(3);
    await lock.release();
    await take(second);
  });

  it('goes to one of many who ask at the same moment', async () => {
    for (let round = 0; round < 5; round++) {
      const asking = await Promise.all(Array.from({ length: 4 }, open));
      const results = await Promise.allSettled(asking.map((session) => take(session)));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.kind] : []));
      expect(reasons).toEqual(['locked', 'locked', 'locked']);
      for (const lock of locks.splice(0)) await lock.release();
    }
  });

  it('can be taken where most masters are down and slots have no owner, when no key can be written', async () => {
    const broken = await startCluster({ masters: 3 });
    try {
      await Promise.all(broken.masters.slice(1).map((master) => master.kill()));
      const session = await openSession(broken.masters[0]?.address ?? '');
      sessions.push(session);
      const lock = await take(session);
      expect(lock.nodeIds).toHaveLength(1);
      await lock.requireHeld();
      expect((await failureOf(take(await openAt(broken.masters[0]?.address ?? '')))).kind).toBe('locked');
    } finally {
      await broken.stop();
    }
  });

  it('taken away by force ends what its owner still sends', async () => {
    const [owner, other] = [await open(), await open()];
    const lock = await take(owner);
    const id = owner.memberIds[0] ?? '';
    const connection = await owner.pool.get(id);
    expect(await releaseLock(other.pool, other.memberIds, owner.token)).toBeGreaterThanOrEqual(6);
    expect((await failureOf(connection.call('PING'))).kind).toBe('unreachable');
    // Its heart beats again before somebody else has taken it: then it was nobody's, and is its own again.
    await expect.poll(() => lock.nodeIds.length, { timeout: 3_000 }).toBe(3);
    await lock.requireHeld();
  });

  it('that somebody else has taken meanwhile is lost, and no change may be made any more', async () => {
    const [owner, other] = [await open(), await open()];
    const lock = await take(owner, 600);
    await releaseLock(other.pool, other.memberIds, owner.token);
    const successor = await take(other);
    await expect.poll(() => lock.signal.aborted, { timeout: 5_000 }).toBe(true);
    const failure = await failureOf(lock.requireHeld());
    expect(failure).toMatchObject({ kind: 'locked' });
    expect(failure.message).toContain('has taken the lock over');
    await successor.requireHeld();
  });

  it('is not asked for again by one who has lost it, nor by one who was cut off and silent too long', async () => {
    const [owner, late, other] = [await open(), await open(), await open()];
    const lost = await take(owner, 100);
    await releaseLock(other.pool, other.memberIds, owner.token);
    const successor = await take(other);
    await expect.poll(() => lost.signal.aborted, { timeout: 5_000 }).toBe(true);
    await successor.release();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await lockStatus(other.pool, other.memberIds)).toEqual([]);

    const cut = await take(late, 1_500);
    const now = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 31_000);
    try {
      await releaseLock(other.pool, other.memberIds, late.token);
      await expect.poll(() => cut.signal.aborted, { timeout: 5_000 }).toBe(true);
      expect((await failureOf(cut.requireHeld())).message).toMatch(/reached no node for 3\d s/);
    } finally {
      clock.mockRestore();
    }
  });

  it('comes back to a node that was restarted', async () => {
    const lock = await take(await open());
    const [node] = cluster.nodes;
    const clients = String(await node?.call('CLIENT', 'LIST'));
    const theirs = clients.split('\n').find((line) => line.includes(lockName(lock.owner, 'holding')));
    await node?.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(theirs ?? '')?.[1] ?? '');
    await expect
      .poll(async () => String(await node?.call('CLIENT', 'LIST')), { timeout: 3_000 })
      .toContain(lockName(lock.owner, 'holding'));
    // The node knows the name a moment before this side has heard so.
    await expect.poll(() => lock.nodeIds, { timeout: 3_000 }).toHaveLength(3);
  });

  it('of one that hangs is taken over once it was silent for the expiry, and not before', async () => {
    const session = await open();
    const silent = { ...thisOperator(), token: newToken(), operation: 'hanging', startedAt: 'long ago' };
    const hanging = await Promise.all(
      cluster.nodes.map(async (node) => {
        const connection = await node.connect();
        await connection.call('CLIENT', 'SETNAME', lockName(silent, 'holding'));
        const work = await node.connect();
        await work.call('CLIENT', 'SETNAME', workName(silent.token));
        return { connection, work };
      }),
    );
    expect((await failureOf(take(session))).message).toContain('hanging');
    await new Promise((resolve) => setTimeout(resolve, 30_500));
    await take(session);
    for (const { connection, work } of hanging) {
      expect((await failureOf(connection.call('PING'))).kind).toBe('unreachable');
      expect((await failureOf(work.call('PING'))).kind).toBe('unreachable');
    }
  }, 60_000);
});

it('of one that has ended is free soon on a node that was cut off and has not heard of it', async () => {
  const session = await open();
  const gone = { ...thisOperator(), token: newToken(), operation: 'gone', startedAt: 'a moment ago' };
  const [node] = cluster.nodes;
  // What a server keeps of a connection whose end was lost on the way.
  const left = await node?.connect();
  await left?.call('CLIENT', 'SETNAME', lockName(gone, 'holding'));
  expect((await failureOf(take(session))).message).toContain('gone');
  await new Promise((resolve) => setTimeout(resolve, (LEFT_BEHIND_SECONDS + 1) * 1_000));
  await take(session);
  expect((await failureOf(left?.call('PING') as Promise<unknown>)).kind).toBe('unreachable');
}, 60_000);

async function openAt(seed: string): Promise<ClusterSession> {
  const session = await openSession(seed);
  sessions.push(session);
  return session;
}
