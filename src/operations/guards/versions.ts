/** Guards about versions: data goes safely from an older server to a newer one, and not always back. */
import type { NodeReport } from '../../cluster/snapshot/node-report.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Guard } from './guard.js';

/** Moves and replicas inside one major version are what servers test for. */
export const versions: Guard = {
  name: 'versions',
  protects: 'keys would go to a server of an older version or another product, which may not read them',
  check(snapshot, plan) {
    const reasons = new Set<string>();
    for (const { action } of plan.steps) {
      const pair = dataPath(action);
      const from = pair && find(snapshot, pair.from);
      const to = pair && find(snapshot, pair.to);
      const [old, young] = [from?.version, to?.version];
      if (from === undefined || to === undefined || old === undefined || young === undefined) continue;
      const differs = old.product !== young.product || young.major < old.major;
      const minorBack = old.product === young.product && young.major === old.major && young.minor < old.minor;
      if (differs || minorBack) {
        reasons.add(`${from.address} runs ${old.product} ${old.text}, ${to.address} ${young.product} ${young.text}`);
      }
    }
    return [...reasons];
  },
};

function find(snapshot: ClusterSnapshot, id: string): NodeReport | undefined {
  return snapshot.report(id) ?? snapshot.strangers.find((stranger) => stranger.id === id);
}

/** From where to where an action sends keys. */
function dataPath(action: object): { from: string; to: string } | undefined {
  const { source, target, node, master } = action as Partial<Record<string, { id: string }>>;
  if (source?.id !== undefined && target?.id !== undefined) return { from: source.id, to: target.id };
  if (node?.id !== undefined && master?.id !== undefined) return { from: master.id, to: node.id };
  return undefined;
}
