/** Checks of slots: served, whole, and seen alike by all. */
import { isFailing } from '../../../cluster/cluster-node.js';
import { countSlots, formatSlots, type SlotSet, slotsFrom, unionSlots } from '../../../cluster/slots.js';
import type { ClusterSnapshot } from '../../../cluster/snapshot/snapshot.js';
import { disagreement, majority } from '../../guards/health.js';
import { type Check, count, fail, named, warn } from '../finding.js';
import { jobText } from '../slot-jobs.js';

const RANGES_SHOWN_MAX = 6;

const shown = (slots: SlotSet) => formatSlots(slots, RANGES_SHOWN_MAX);

/** Slots that a master has for itself by its own word; of masters that do not answer, by the others'. */
export function ownedSlots(snapshot: ClusterSnapshot): SlotSet {
  const silent = snapshot.silent.filter(({ role }) => role === 'master');
  const answering = snapshot.reports.filter(({ myself }) => myself.role === 'master');
  return unionSlots(...silent.map(({ slots }) => slots), ...answering.map(({ myself }) => myself.slots));
}

export const coverage: Check = {
  name: 'coverage',
  about: 'every slot is served',
  next: 'forge cluster fix gives slots that nobody has to a master; those of a dead one wait for it, or for its replica.',
  judge({ snapshot }) {
    const owned = countSlots(ownedSlots(snapshot));
    const { uncovered } = snapshot.topology;
    const reasons = [];
    if (uncovered.length > 0) {
      reasons.push(fail(`nobody serves ${count(countSlots(uncovered), 'slot')}: ${shown(uncovered)}`));
    } else if (owned < 16_384) {
      reasons.push(fail(`by their own word, the masters serve only ${count(owned, 'slot')}`));
    }
    for (const { master } of snapshot.topology.shards) {
      const dead = isFailing(master) || snapshot.report(master.id) === undefined;
      if (!dead || master.slots.length === 0) continue;
      const what = `${count(countSlots(master.slots), 'slot')} (${shown(master.slots)})`;
      reasons.push(fail(`${snapshot.addressOf(master.id)} is down or does not answer, and has ${what}`));
    }
    return reasons;
  },
};

export const state: Check = {
  name: 'state',
  about: 'every node serves (cluster_state)',
  next: 'It follows from the slots and masters that are missing; a node that came back waits a few seconds.',
  judge({ snapshot }) {
    const out = snapshot.reports.filter(({ cluster }) => cluster.state !== 'ok');
    return out.length === 0 ? [] : [fail(`cluster_state is not ok at ${named(out.map(({ address }) => address))}`)];
  },
};

export const openSlots: Check = {
  name: 'open-slots',
  about: 'no slot is half moved',
  next: 'An interrupted operation: forge resume or forge rollback, where it was begun; else forge cluster fix.',
  judge({ snapshot, locks = [] }) {
    const { openSlots: open } = snapshot;
    if (open.length === 0) return [];
    const slots = slotsFrom(open.map(({ slot }) => slot));
    const words = open.map(({ slot, nodeId, direction }) => `${slot} ${direction} at ${snapshot.addressOf(nodeId)}`);
    const text = `${count(countSlots(slots), 'open slot')}: ${named(words)}`;
    const working = locks.find(({ phase, expired }) => phase === 'holding' && !expired);
    if (working === undefined) return [fail(text)];
    return [warn(`${text}; ${working.owner.user}@${working.owner.host} is at work (${working.owner.operation})`)];
  },
};

export const jobs: Check = {
  name: 'slot-jobs',
  about: 'the servers move no slots by themselves',
  next: 'Nothing is open: wait until it has ended. Begun by an interrupted operation: forge resume or forge rollback. One that fails again and again: forge cluster fix.',
  judge({ jobs: running = [], locks = [] }) {
    const working = locks.find(({ phase, expired }) => phase === 'holding' && !expired);
    const who =
      working === undefined
        ? 'no operation of forge is at work'
        : `${working.owner.user}@${working.owner.host} is at work (${working.owner.operation})`;
    return running.map((job) => warn(`${jobText(job)}; ${who}`));
  },
};

export const agreement: Check = {
  name: 'agreement',
  about: 'all nodes see the same members, roles and slots',
  next: 'After a change this takes seconds. When it stays: check the cluster bus ports, then forge cluster fix.',
  judge: ({ snapshot }) => disagreement.check(snapshot, { steps: [] }).map(fail),
};

export const quorum: Check = {
  name: 'majority',
  about: 'most masters answer',
  next: 'Without a majority of masters no failover is possible: bring masters back, or look from a host that reaches them.',
  judge({ snapshot }) {
    return majority.check(snapshot, { steps: [] }).map(fail);
  },
};

export const epochs: Check = {
  name: 'epochs',
  about: 'no two masters share a configuration epoch',
  next: 'Redis resolves this within seconds. When it stays, the masters do not hear each other: check the cluster bus.',
  judge({ snapshot }) {
    const byEpoch = new Map<number, string[]>();
    for (const { myself, address } of snapshot.reports) {
      if (myself.role !== 'master' || myself.slots.length === 0 || myself.configEpoch === 0) continue;
      byEpoch.set(myself.configEpoch, [...(byEpoch.get(myself.configEpoch) ?? []), address]);
    }
    return [...byEpoch]
      .filter(([, nodes]) => nodes.length > 1)
      .map(([epoch, nodes]) => warn(`${named(nodes)} share the epoch ${epoch}`));
  },
};
