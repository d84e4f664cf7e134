import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectSettings } from '../../../../src/cluster/node-pool.js';
import { ALL_SLOTS } from '../../../../src/cluster/slots.js';
import type { ForgeError } from '../../../../src/errors.js';
import { readSlotKeys } from '../../../../src/operations/health/slot-keys.js';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { planLines } from '../../../../src/operations/plan.js';
import { planFix } from '../../../../src/operations/planners/fix.js';
import { type RunPlanOptions, type RunResult, runPlan } from '../../../../src/operations/run.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../../support/servers.js';
import { failureOf } from '../../cluster/formed.js';
import { documentedRules } from '../../torture/tls-cluster.js';
import {
  disown,
  fill,
  halfMove,
  idOf,
  importing,
  inOrder,
  migrating,
  nameOf,
  snapshotBy,
  stable,
  tagOf,
  valuesOf,
} from './broken.js';

const PASSWORD = 'fix secret';
const KEYS = 12;
const SETTLE_MS = 20_000;

let cluster: RedisCluster;
let one: RedisServer;
let two: RedisServer;
let three: RedisServer;
let home: Awaited<ReturnType<typeof temporaryHome>>;

beforeEach(async () => {
  home = await temporaryHome();
});
afterEach(() => home.remove());

async function start(options: Parameters<typeof startCluster>[0] = {}): Promise<void> {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD, ...options });
  [one, two, three] = cluster.masters as [RedisServer, RedisServer, RedisServer];
}

async function fix(
  options: Partial<RunPlanOptions> & { connect?: ConnectSettings; strays?: boolean } = {},
): Promise<RunResult> {
  const { connect = { password: PASSWORD }, strays = false, ...rest } = options;
  const session = await openSession(cluster.addresses, { connect });
  try {
    const { snapshot } = session;
    const keys = await readSlotKeys(session, snapshot, ALL_SLOTS);
    const plan = planFix(snapshot, keys, { force: options.force, strays });
    return await runPlan({ session, plan, paths: home.paths, waitMs: 15_000, confirm: async () => true, ...rest });
  } finally {
    session.close();
  }
}

/** Ids of nodes that the viewers do not reach any more. */
async function failedId(viewers: readonly RedisServer[]): Promise<string[]> {
  const { topology } = await snapshotBy(viewers);
  return topology.nodes.filter(({ port }) => port === three.port).map(({ id }) => id);
}

const firstHalf = (values: ReadonlyMap<string, string>) => [...values.keys()].slice(0, KEYS / 2);

/** All is in order, and every value is where clients look for it. */
async function expectWhole(values: ReadonlyMap<string, string>, nodes = cluster.nodes) {
  const snapshot = await inOrder(nodes);
  expect(await valuesOf(nodes, snapshot, values.keys())).toEqual(values);
  return snapshot;
}

describe.each(SOME_SERVERS)('a repair on %s', (_, server) => {
  beforeAll(() => start({ executable: executableOf(server), replicasPerMaster: 1 }), FETCH_TIMEOUT_MS);
  afterAll(() => cluster.stop());

  it('closes what is half moved, gives what nobody has to who holds its keys, and loses no key', async () => {
    const values = new Map<string, string>();
    const filled = async (slot: number) => {
      const added = await fill(one, slot, KEYS);
      for (const [name, value] of added) values.set(name, value);
      return added;
    };
    // A move that was interrupted in the middle.
    await halfMove(one, two, 10, firstHalf(await filled(10)));
    // The same, when the target has lost its mark.
    await halfMove(one, two, 11, firstHalf(await filled(11)));
    await stable(two, 11);
    // The same, when the source has lost its mark.
    await halfMove(one, two, 12, firstHalf(await filled(12)));
    await stable(one, 12);
    // Marks without keys on the other side, of each kind.
    await filled(13);
    await migrating(one, 13, two);
    await importing(two, 14, one);
    await filled(23);
    // Nobody has these; keys are nowhere, at one node, at two.
    await filled(21);
    await halfMove(one, three, 22, firstHalf(await filled(22)).slice(0, 2));
    await stable(one, 22);
    await stable(three, 22);
    await disown(cluster.masters, 20, 21, 22);
    // The owner alone does not know that it was the owner.
    await disown([one], 23);

    const result = await fix();
    expect(result.status).toBe('done');
    const snapshot = await expectWhole(values);
    const ownerOf = (slot: number) => snapshot.addressOf(snapshot.topology.ownerOf(slot)?.id ?? '');
    expect([10, 11].map(ownerOf)).toEqual([two.address, two.address]);
    expect([12, 13, 14, 21, 22, 23].map(ownerOf)).toEqual(Array(6).fill(one.address));
    expect((await fix()).status).toBe('unchanged');
  });
});

describe('a repair', () => {
  beforeEach(() => start());
  afterEach(() => cluster.stop());

  it('says its plan first, which is the same each time', async () => {
    await halfMove(one, two, 10, firstHalf(await fill(one, 10, KEYS)));
    await importing(three, 11, one);
    const [first, second] = [await fix({ dryRun: true }), await fix({ dryRun: true })];
    expect(planLines(first.plan)).toEqual([
      `Finish moving 1 slots (10) from ${one.address} to ${two.address}`,
      `Close 1 slots (11) at ${three.address}; keys that it has of them go to ${one.address}`,
      'Wait until all nodes agree',
    ]);
    expect(second.plan).toEqual(first.plan);
    expect(first.violations.map(({ guard, effect }) => [guard, effect])).toEqual([['open-slots', 'tolerated']]);
    await fix();
    await inOrder(cluster.nodes);
  });

  it('takes equal values of both sides for one, and stops at different ones without touching either', async () => {
    const values = await fill(one, 10, 2);
    await halfMove(one, two, 10, [...values.keys()], { copy: true });
    await fix();
    await expectWhole(values);

    const other = await fill(one, 30, 1);
    await halfMove(one, two, 30, [...other.keys()]);
    await stable(one, 30);
    const name = nameOf(30, 0);
    await one.call('SET', name, 'another value');
    const failure = await failureOf(fix());
    expect(failure).toMatchObject({ kind: 'refused', exitCode: 5 });
    expect(failure.message).toContain(`{${tagOf(30)}}:0`);
    expect(failure.next.join('\n')).toMatch(/--keep owner.*forge resume/s);
    expect(await one.call('GET', name)).toBe('another value');
    // Clients see the owner's; the operator says which is right.
    await one.call('DEL', name);
    expect((await fix()).status).toBe('done');
    await expectWhole(other);
  });

  it.each(['owner', 'other'] as const)('keeps one of two values when it is told which: %s', async (keep) => {
    const values = await fill(one, 30, 1);
    await halfMove(one, two, 30, [...values.keys()]);
    await stable(one, 30);
    await stable(two, 30);
    const name = nameOf(30, 0);
    await one.call('SET', name, 'another value');
    const failure = await failureOf(fix({ strays: true }));
    expect(failure.next.join(' ')).toContain(`--keep ${keep}`);
    expect((await fix({ strays: true, move: new MoveControl({ keep }) })).status).toBe('done');
    expect(await one.call('GET', name)).toBe(keep === 'owner' ? 'another value' : values.get(name));
    expect(await two.call('CLUSTER', 'COUNTKEYSINSLOT', 30)).toBe(0);
    await inOrder(cluster.nodes);
  });

  it('does not decide about a node that does not answer, and repairs the rest when it is told to', async () => {
    await halfMove(one, three, 10, firstHalf(await fill(one, 10, KEYS)));
    await importing(two, 11, one);
    await three.kill();
    const refusal = await failureOf(fix());
    expect(refusal).toMatchObject({ kind: 'refused', exitCode: 5 });
    expect(refusal.message).toContain(`slot 10 is open towards ${three.address}, which does not answer`);
    expect(refusal.next.at(-1)).toContain('--force open-slots');
    expect((await fix({ force: ['open-slots'] })).status).toBe('done');
    const snapshot = await snapshotBy([one, two]);
    expect(snapshot.openSlots.map(({ slot }) => slot)).toEqual([10]);
    // What the dead one had stays its own.
    expect(snapshot.topology.node((await failedId([one]))[0] ?? '')?.slots).toEqual([{ start: 10_923, end: 16_383 }]);
  });

  it('tells of keys that nobody sees, and sends them home when it is told to', async () => {
    const values = await fill(one, 10, KEYS);
    await halfMove(one, two, 10, firstHalf(values));
    await stable(one, 10);
    await stable(two, 10);
    const told = await fix();
    expect(told.status).toBe('unchanged');
    expect(told.plan.notes).toEqual([
      `${two.address} holds keys of 1 slots of others (10), which nobody sees; --strays sends them to the owners`,
    ]);
    expect((await fix({ strays: true })).status).toBe('done');
    await expectWhole(values);
    expect((await fix()).plan.notes).toEqual([]);
  });

  it('makes an owner heard whom another does not believe, and closes a slot whose target was forgotten', async () => {
    const values = await fill(one, 10, KEYS);
    const forgotten = await idOf(three);
    // The third believes that the second, whose epoch is newer, has the slot of the first.
    await three.call('CLUSTER', 'SETSLOT', 40, 'NODE', await idOf(two));
    expect((await snapshotBy(cluster.nodes)).agreed).toBe(false);
    // Gossip may move something between the plan and the lock: then the plan is refused, and made anew.
    await poll('a repair', SETTLE_MS, async () => {
      const failure = await fix().then(
        () => undefined,
        (error: ForgeError) => error,
      );
      if (failure !== undefined && !failure.message.includes('has changed since')) throw failure;
      return failure === undefined;
    });
    await expectWhole(values);

    // A spare master joins, is sent a slot, and is gone.
    await one.call('CLUSTER', 'SETSLOT', 10, 'MIGRATING', forgotten);
    expect((await fix()).status).toBe('done');
    await expectWhole(values);
  });
});

describe('a repair as a user with few rights, by IPv6', () => {
  /** Those of docs/operations.md, to which the page of this command leads. */
  const rights = documentedRules();

  beforeAll(() =>
    start({
      host: '::1',
      requirepass: undefined,
      args: ['--user', 'operator', 'on', `>${PASSWORD}`, ...rights],
    }),
  );
  afterAll(() => cluster.stop());

  it('does all that is documented with the rights that are documented', async () => {
    const values = new Map([
      ...(await fill(one, 10, KEYS)),
      ...(await fill(one, 11, KEYS)),
      ...(await fill(one, 12, KEYS)),
    ]);
    await halfMove(one, two, 10, firstHalf(await fill(one, 10, KEYS)));
    await halfMove(one, two, 11, firstHalf(await fill(one, 11, KEYS)), { copy: true });
    await stable(one, 11);
    await disown(cluster.masters, 12, 13);
    expect(rights).toContain('+migrate');
    const connect = { username: 'operator', password: PASSWORD };
    expect((await fix({ connect })).status).toBe('done');
    await expectWhole(values);
  });
});
