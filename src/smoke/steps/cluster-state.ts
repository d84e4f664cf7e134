/** State and slot coverage: as the node that was given sees its cluster, or as the proxy's admin page tells it. */

import { isFailing } from '../../cluster/cluster-node.js';
import { parseClusterInfo } from '../../cluster/parse-info.js';
import { parseClusterNodes } from '../../cluster/parse-nodes.js';
import { countSlots, formatSlots, SLOT_COUNT } from '../../cluster/slots.js';
import { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { readiness } from '../../proxy/control/admin.js';
import type { SmokeClient } from '../client.js';
import type { SmokeContext, StepFinding } from '../types.js';

/** Ranges of missing slots that are named; the rest are counted. */
const RANGES_SHOWN_MAX = 8;

export async function clusterState(context: SmokeContext & { client: SmokeClient }): Promise<StepFinding> {
  return context.target.kind === 'cluster node' ? await nodeState(context.client) : await proxyState(context);
}

export function skipClusterState({ target, options }: SmokeContext): string | false {
  if (target.kind === 'cluster node' || options.admin !== undefined) return false;
  return 'an endpoint does not tell (give --admin HOST:PORT for a proxy); every slot is read below';
}

async function nodeState({ node }: SmokeClient): Promise<StepFinding> {
  const info = parseClusterInfo(await node.callText('CLUSTER', 'INFO'));
  const topology = new Topology(parseClusterNodes(await node.callText('CLUSTER', 'NODES'), node.label));
  const failing = topology.nodes.filter(isFailing);
  const masters = topology.masters.filter(({ slots }) => slots.length > 0).length;
  const data = {
    state: info.state,
    slotsServed: SLOT_COUNT - countSlots(topology.uncovered),
    slotsMissing: formatSlots(topology.uncovered),
    masters,
    replicas: topology.replicas.length,
    failing: failing.map(({ id }) => id),
  };
  const problems = [
    info.state === 'ok' ? '' : `its state is "${info.state}"`,
    topology.uncovered.length === 0
      ? ''
      : `nobody serves ${countSlots(topology.uncovered)} of ${SLOT_COUNT} slots (${formatSlots(topology.uncovered, RANGES_SHOWN_MAX)})`,
    info.slotsOk === info.slotsAssigned ? '' : `${info.slotsAssigned - info.slotsOk} slots are on failing nodes`,
  ].filter(Boolean);
  if (problems.length > 0) {
    throw new ForgeError('verification', `The cluster is not whole as ${node.label} sees it: ${problems.join('; ')}.`, {
      host: node.label,
      next: 'Bring the missing nodes back, or give their slots to others.',
      details: data,
    });
  }
  const warning = failing.length === 0 ? '' : `; ${failing.length} node(s) fail, none of them needed for a slot`;
  return {
    summary: `state ok, ${SLOT_COUNT} of ${SLOT_COUNT} slots, ${masters} masters, ${data.replicas} replicas (as ${node.label} sees it)${warning}`,
    data,
  };
}

async function proxyState({ options, signal }: SmokeContext): Promise<StepFinding> {
  const admin = options.admin as NonNullable<typeof options.admin>;
  const { ready, state } = await readiness(admin, signal);
  if (!ready) {
    throw new ForgeError('verification', `The proxy is not ready: it says ${state || 'nothing'}.`, {
      host: `${admin.host}:${admin.port}`,
      next: 'Wait, or look at its /clusters page and its log: it may not reach any node.',
      details: { ready, state },
    });
  }
  return { summary: `the proxy says ${state}: it knows who serves the slots`, data: { ready, state } };
}
