/** The nodes of a local cluster, made one and watched until they agree. */
import { openInit } from '../cluster/init/session.js';
import { ForgeError } from '../errors.js';
import { waitFor } from '../runtime/wait.js';
import { LOOPBACK } from './nodes.js';
import type { ClusterState } from './state.js';
import type { StepReporter } from './step.js';
import { nodeFault, viewNode } from './view.js';

/** Until a cluster whose nodes all run is whole again, milliseconds: a failover and a full copy to each replica. */
export const HEALTHY_MS = 60_000;
const POLL_MS = 100;

export interface FormationOptions {
  state: ClusterState;
  adminPassword: string;
  report: StepReporter;
  signal?: AbortSignal;
}

/**
 * Waits until every node knows all the others, calls the cluster `ok`, and every replica is in sync.
 * @throws ForgeError `timeout`, naming the first node with a fault, and its fault
 */
export async function waitUntilHealthy(options: FormationOptions): Promise<void> {
  const { state, adminPassword, report, signal } = options;
  const ports = state.nodePorts;
  let worst: { port: number; fault: string } | undefined;
  let told = '';
  const healthy = await waitFor(
    async () => {
      const views = await Promise.all(ports.map((port) => viewNode(port, adminPassword, signal)));
      const faults = views.flatMap((view, index) => {
        const fault = nodeFault(view, ports.length);
        return fault === undefined ? [] : [{ port: ports[index] as number, fault }];
      });
      worst = faults[0];
      if (worst === undefined) return true;
      const note = `node ${worst.port}: ${worst.fault}`;
      if (note !== told) report.note(note);
      told = note;
      return undefined;
    },
    { timeoutMs: HEALTHY_MS, intervalMs: POLL_MS, signal },
  );
  if (healthy !== undefined || worst === undefined) return;
  throw new ForgeError('timeout', `The cluster is not whole after ${HEALTHY_MS / 1000} s: ${worst.fault}.`, {
    host: `${LOOPBACK}:${worst.port}`,
    next: ['See all nodes: forge status', 'See what this one says: its redis.log in the folder of the cluster.'],
  });
}

/**
 * Joins the nodes and waits until the cluster is whole. Finishes what an interrupted run began.
 * @throws ForgeError what forming a cluster throws (see `forge init-cluster`), and what `waitUntilHealthy` does
 */
export async function formCluster(options: FormationOptions): Promise<void> {
  const { state, adminPassword, report, signal } = options;
  const session = await openInit({
    nodes: state.nodePorts.map((port) => ({ host: LOOPBACK, port })),
    replicasPerMaster: state.replicas,
    connect: { username: 'admin', password: adminPassword },
    signal,
  });
  try {
    for (const step of session.steps()) {
      report.note(step.title);
      await step.run();
    }
  } finally {
    session.close();
  }
  await waitUntilHealthy(options);
}
