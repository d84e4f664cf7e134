/** Shared by the tests of commands that change roles: plans carried out on a real cluster, and what its nodes say after. */
import type { ConnectSettings } from '../../../../src/cluster/node-pool.js';
import type { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import type { Plan } from '../../../../src/operations/plan.js';
import { type RunObserver, type RunResult, runPlan } from '../../../../src/operations/run.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import type { RedisServer } from '../../../support/redis.js';
import { poll } from '../../../support/redis.js';
import { tablesOf } from '../../cluster/formed.js';

export interface Operator {
  /** Plans and carries out; `force` names guards. */
  run(plan: (snapshot: ClusterSnapshot) => Plan, options?: RunOptions): Promise<RunResult>;
  readonly home: string;
  readonly paths: Awaited<ReturnType<typeof temporaryHome>>['paths'];
  remove(): Promise<void>;
}

export interface RunOptions {
  also?: string;
  force?: string[];
  waitMs?: number;
  observer?: RunObserver;
  signal?: AbortSignal;
}

/** Somebody with a home of their own, who works on the cluster that these seeds lead to. */
export async function newOperator(
  seeds: () => string,
  password?: string,
  connect: Partial<ConnectSettings> = {},
): Promise<Operator> {
  const { home, paths, remove } = await temporaryHome();
  return {
    home,
    paths,
    remove,
    async run(plan, { also, waitMs = 30_000, ...options } = {}) {
      const session = await openSession(seeds(), { also, connect: { password, ...connect } });
      try {
        return await runPlan({
          session,
          paths,
          waitMs,
          confirm: async () => true,
          ...options,
          plan: plan(session.snapshot),
        });
      } finally {
        session.close();
      }
    },
  };
}

export async function idOf(server: RedisServer): Promise<string> {
  return String(await server.call('CLUSTER', 'MYID'));
}

export interface Roles {
  /** Addresses of masters with slots, and of everybody else, sorted. */
  masters: string[];
  others: string[];
}

/** Who serves, by the word of each server itself. */
export async function rolesOf(servers: readonly RedisServer[]): Promise<Roles> {
  const tables = await tablesOf(servers);
  const masters = servers.filter((_, index) => {
    const myself = tables[index]?.myself;
    return myself?.role === 'master' && myself.slots.length > 0;
  });
  const address = (server: RedisServer) => server.address;
  return {
    masters: masters.map(address).sort(),
    others: servers
      .filter((server) => !masters.includes(server))
      .map(address)
      .sort(),
  };
}

/** All servers see the same cluster, whole, with each replica linked. */
export async function expectWhole(servers: readonly RedisServer[], nodes = servers.length): Promise<void> {
  await poll('all nodes agree', 20_000, async () => {
    const tables = await tablesOf(servers).catch(() => []);
    const signatures = new Set(tables.map(({ signature }) => signature));
    return (
      tables.length > 0 &&
      signatures.size === 1 &&
      tables.every((table) => table.nodes.length === nodes && table.uncovered.length === 0)
    );
  });
}

/** Every key `key:N` with its value, written through the cluster's own redirects. */
export async function keysOf(servers: readonly RedisServer[]): Promise<number> {
  const { masters } = await rolesOf(servers);
  const sizes = await Promise.all(
    servers.filter(({ address }) => masters.includes(address)).map((server) => server.call('DBSIZE')),
  );
  return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
}
