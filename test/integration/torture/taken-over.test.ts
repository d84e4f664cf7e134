/** A master of a move hands its role to its replica, on somebody's word, while the move is under way. */
import { expect, it } from 'vitest';
import { listOperations } from '../../../src/operations/journal/journal.js';
import { MoveControl } from '../../../src/operations/move/control.js';
import type { StepEvent } from '../../../src/operations/step.js';
import { temporaryHome } from '../../support/operations/join.js';
import { TestOperator } from '../../support/operations/operator.js';
import { poll, type RedisServer, startCluster } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { tablesOf } from '../cluster/formed.js';
import { fill, idOf, moveSlots } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const KEYS = 6_000;
const SLOTS = 400;
const RANGES = [{ start: 0, end: SLOTS - 1 }];
const KNOWN_MS = 30_000;
const RUNS_MAX = 2;
const RUN_MS = 120_000;

const ROLES = ['source', 'target'] as const;
/** Agreed upon by both, or by nobody. */
const MODES = ['planned', 'TAKEOVER'] as const;
const BATCHES = FULL ? [1, 2, 7, 12, 30] : [12];

interface Case {
  readonly title: string;
  readonly server: (typeof SERVERS)[number][1];
  readonly role: (typeof ROLES)[number];
  readonly mode: (typeof MODES)[number];
  readonly batch: number;
}

const cases = (FULL ? SERVERS : SERVERS.slice(0, 1)).flatMap(([title, server]) =>
  ROLES.flatMap((role) =>
    MODES.flatMap((mode) => BATCHES.map((batch): Case => ({ title, server, role, mode, batch }))),
  ),
);
const some = FULL ? cases : cases.filter(({ role, mode }) => (role === 'source') === (mode === 'TAKEOVER'));

/** What its replica has not heard of is lost with any takeover, whoever moves slots: so that is waited for. */
async function knownTo(replica: RedisServer, master: RedisServer): Promise<void> {
  let alike = 0;
  await poll('the replica knows the slots of its master', KNOWN_MS, async () => {
    await master.call('WAIT', 1, 2_000);
    const [mine, seen] = await tablesOf([master, replica]);
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
    alike = slots.every((slot) => mine?.ownerOf(slot)?.id === seen?.ownerOf(slot)?.id) ? alike + 1 : 0;
    return alike === 3;
  });
}

it.each(some)(
  'on $title, the $role of a move is failed over ($mode) at batch $batch, and the move comes to its end',
  { timeout: RUN_MS + FETCH_TIMEOUT_MS },
  async ({ server, role, mode, batch }) => {
    const cluster = await startCluster({ masters: 3, replicasPerMaster: 1, executable: executableOf(server) });
    const home = await temporaryHome();
    const operator = await TestOperator.create({ CLUSTER_SEED: cluster.addresses });
    try {
      const [from, to] = cluster.masters as [RedisServer, RedisServer];
      await fill(cluster.masters, KEYS);
      const master = role === 'source' ? from : to;
      const replica = cluster.replicas[cluster.masters.indexOf(master)] as RedisServer;
      const ids: [string, string] = [await idOf(from), await idOf(to)];
      const move = (options: Parameters<typeof moveSlots>[1] = {}) =>
        moveSlots(
          { seeds: cluster.addresses, home, from, to, ranges: RANGES, ids },
          { move: new MoveControl({ method: 'migrate' }), waitMs: 3_000, ...options },
        );
      let batches = 0;
      const warnings: string[] = [];
      const event = (_: unknown, told: StepEvent) => {
        if (told.type === 'warning') warnings.push(told.text);
      };
      let failover: Promise<void> | undefined;
      const handOver = async () => {
        await knownTo(replica, master);
        await replica.call('CLUSTER', 'FAILOVER', ...(mode === 'planned' ? [] : [mode]));
        await poll('the replica is the master', KNOWN_MS, async () =>
          String(await replica.call('ROLE')).startsWith('master'),
        );
      };
      // Nothing more is changed until it has come about: then the move goes on as if it knew nothing.
      const mutation = async ({ command }: { command: readonly string[] }) => {
        if (command[0] === 'MIGRATE' && ++batches === batch) failover = handOver();
        await failover;
      };
      const outcomes: string[] = [];
      for (let run = 1; outcomes.at(-1) !== 'done'; run++) {
        expect(run, outcomes.join('\n')).toBeLessThanOrEqual(RUNS_MAX);
        // At once: nodes still differ about who is a master.
        const work = move({ observer: run === 1 ? { mutation, event } : { event } });
        outcomes.push(
          await work.then(
            ({ status }) => status,
            (error: Error) => error.message,
          ),
        );
      }
      expect(batches).toBeGreaterThanOrEqual(batch);
      const [operation] = await listOperations(home.paths.journals);
      expect(operation?.result).toBeDefined();
      const [table] = await tablesOf([cluster.masters[2] as RedisServer]);
      // It took slots in the very moment, and stays their master; its successor has copies of what it had taken before.
      const split = role === 'target' && table?.ownerOf(SLOTS - 1)?.port === to.port;
      if (split && warnings.some((text) => text.includes('--strays'))) {
        await operator.succeed('cluster/fix', ['--strays']);
      }
      await expectSound({ nodes: cluster.nodes, keys: KEYS, name: [...outcomes, ...warnings].join(' | ') });
      if (split) return;
      const owner = role === 'target' ? replica : to;
      for (const slot of [0, SLOTS - 1]) expect(table?.ownerOf(slot)?.port, outcomes.join('\n')).toBe(owner.port);
    } finally {
      await Promise.all([cluster.stop(), home.remove(), operator.remove()]);
    }
  },
);
