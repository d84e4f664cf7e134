/** Why a stage was not reached in time: evidence from the nodes, with a probe of suspect bus ports from here. */
import { ForgeError } from '../../errors.js';
import { mapBounded } from '../bounded.js';
import { type PortState, probePort } from '../bus-port.js';
import type { Member } from './member.js';
import {
  type Stage,
  stalePairs,
  type TargetNode,
  unattached,
  unknownPairs,
  unsettled,
  unsynced,
  type Views,
} from './target.js';

const PROBE_MS = 1_000;
/** So many nodes or pairs are named; the rest is counted. */
const NAMED_MAX = 6;

const AGAIN = 'Run the same command again: it goes on where it stopped.';

const PORT_WORDS: Record<PortState, string> = {
  open: 'accepts connections from here, but not from the other nodes',
  refused: 'refuses connections',
  silent: 'does not answer',
};

function name(items: readonly string[]): string {
  const more = items.length - NAMED_MAX;
  return `${items.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/**
 * Nodes that most others cannot see. A node whose bus port is closed still reaches the others itself, and knows them:
 * so what counts is who is not known, not who does not know.
 */
export function joinSuspects(target: readonly TargetNode[], views: Views): TargetNode[] {
  const unseenBy = new Map<TargetNode, number>();
  for (const { subject } of unknownPairs(target, views)) unseenBy.set(subject, (unseenBy.get(subject) ?? 0) + 1);
  const most = Math.max(0, ...unseenBy.values());
  return [...unseenBy].filter(([, count]) => count === most && count * 2 >= target.length - 1).map(([node]) => node);
}

export function createExplain(members: readonly Member[], target: readonly TargetNode[]) {
  const byId = new Map(members.map((member) => [member.id, member]));
  return async (_stage: Stage, boundMs: number, views: Views): Promise<ForgeError> => {
    const seconds = `${boundMs / 1_000} s`;
    const unknown = unknownPairs(target, views);
    if (unknown.length > 0) {
      const suspects = joinSuspects(target, views).flatMap(({ id }) => byId.get(id) ?? []);
      return explainJoin(seconds, suspects, unknown);
    }
    const loose = unattached(target, views);
    if (loose.length > 0) {
      return late(`After ${seconds}, these are not yet replicas of their masters: ${labels(loose)}.`, loose[0]?.label);
    }
    const unhappy = new Set([...stalePairs(target, views).map(({ viewer }) => viewer), ...unsettled(target, views)]);
    if (unhappy.size > 0) {
      return late(`After ${seconds}, these do not yet see the cluster as planned: ${labels([...unhappy])}.`);
    }
    const behind = unsynced(target, views);
    const replicas = behind.filter(({ masterId }) => masterId !== undefined);
    return late(
      `After ${seconds}, these are not in sync with their masters: ${labels(replicas.length > 0 ? replicas : behind)}.`,
      (replicas[0] ?? behind[0])?.label,
      'Check masterauth (and masteruser) of the replicas, and their logs.',
    );
  };
}

const labels = (nodes: readonly TargetNode[]) => name(nodes.map(({ label }) => label));

function late(message: string, host?: string, ...next: string[]): ForgeError {
  return new ForgeError('timeout', message, { host, next: [...next, AGAIN] });
}

async function explainJoin(
  seconds: string,
  suspects: readonly Member[],
  unknown: ReturnType<typeof unknownPairs>,
): Promise<ForgeError> {
  if (suspects.length === 0) {
    const pairs = unknown.map(({ viewer, subject }) => `${viewer.label} does not see ${subject.label}`);
    return late(
      `After ${seconds}, not all nodes have joined: ${name(pairs)}.`,
      unknown[0]?.viewer.label,
      'Check that the nodes reach each other, on their ports and on their cluster bus ports.',
    );
  }
  const named = suspects.slice(0, NAMED_MAX);
  const states = await mapBounded(named, NAMED_MAX, ({ ip, busPort }) => probePort(ip, busPort, PROBE_MS));
  const words = named.map(
    ({ label, busPort }, index) =>
      `${label} (its cluster bus port ${busPort} ${PORT_WORDS[states[index] ?? 'silent']})`,
  );
  const ports = [...new Set(named.map(({ busPort }) => busPort))].join(', ');
  return new ForgeError('unreachable', `After ${seconds}, the other nodes do not reach ${name(words)}.`, {
    host: named[0]?.label,
    next: [
      `Open the cluster bus port (${ports}) between all nodes; check cluster-announce-ip, cluster-announce-bus-port and address translation.`,
      AGAIN,
    ],
    details: {
      suspects: named.map(({ label, ip, busPort }, index) => ({ node: label, ip, busPort, fromHere: states[index] })),
    },
  });
}
