/** The smallest whole operation: nodes join a real cluster as replicas. Shared by tests and by the process that they kill. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { ClusterSnapshot } from '../../../src/cluster/snapshot/snapshot.js';
import { type OperationPaths, operationPaths } from '../../../src/operations/home.js';
import { createPlan, type Plan } from '../../../src/operations/plan.js';
import { ClusterSession, type OpenSessionOptions } from '../../../src/operations/session.js';

export async function temporaryHome(): Promise<{ home: string; paths: OperationPaths; remove(): Promise<void> }> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'forge-operations-'));
  return { home, paths: operationPaths(home, {}), remove: () => rm(home, { recursive: true, force: true }) };
}

export function openSession(
  seeds: string,
  options: { also?: string; password?: string } & Partial<Omit<OpenSessionOptions, 'also' | 'seeds'>> = {},
): Promise<ClusterSession> {
  const { also, password, connect, ...rest } = options;
  return ClusterSession.open({
    ...rest,
    seeds: parseAddressList(seeds),
    also: also === undefined ? [] : parseAddressList(also),
    connect: connect ?? { password },
  });
}

/** All strangers become replicas of the first master. */
export function joinPlan(snapshot: ClusterSnapshot, request: Plan['request'] = { join: 'all' }): Plan {
  const ref = (id: string) => ({ id, address: snapshot.addressOf(id) });
  const master = ref(snapshot.topology.masters[0]?.id ?? '');
  const joining = snapshot.strangers.map(({ id }) => ref(id));
  const everybody = [...snapshot.topology.nodes.map(({ id }) => id), ...joining.map(({ id }) => id)];
  const meets = joining.map((node, index) => ({
    id: `meet-${index}`,
    after: [],
    action: { kind: 'meet' as const, node, via: master },
  }));
  return createPlan(snapshot, {
    operation: 'test join',
    request,
    title: `Join ${joining.map(({ address }) => address).join(', ')}`,
    steps:
      joining.length === 0
        ? []
        : [
            ...meets,
            {
              id: 'agree',
              after: meets.map(({ id }) => id),
              action: { kind: 'wait-convergence' as const, nodes: everybody },
            },
            ...joining.map((node, index) => ({
              id: `attach-${index}`,
              after: ['agree'],
              action: { kind: 'replicate' as const, node, master, previousMaster: null },
            })),
            {
              id: 'settle',
              after: joining.map((_, index) => `attach-${index}`),
              action: { kind: 'wait-convergence' as const, nodes: everybody },
            },
          ],
  });
}
