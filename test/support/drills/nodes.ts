/** The nodes of a stand, for drills in which they die. */
import type { Bounds } from '../../../src/drills/verdict.js';
import type { DrillStand, StandNode } from '../drill-stand.js';
import { SUDDEN as ANY_SUDDEN, chance } from './matrix.js';

/**
 * `cluster-node-timeout` in these drills. Redis notices a death after one to one and a half of it, tells it to the others
 * within half of it, and elects within 1.1 s: with more than 0.9 s an election may take longer than `cluster-node-timeout`
 * + 2 s all by itself (measured at 2 s: every third).
 */
export const NODE_TIMEOUT_MS = 800;

/** Errors of writes in flight, and what asynchronous replication may lose. */
export const SUDDEN: Bounds = { ...ANY_SUDDEN, longestPauseMs: NODE_TIMEOUT_MS + 2_000 };

/** The same after `WAIT 1`: nothing that was acknowledged may be lost. */
export const SUDDEN_WITH_WAIT: Bounds = { ...SUDDEN, losses: 0 };

export class Nodes {
  readonly #stand: DrillStand;
  readonly #chance: () => number;

  /** @param name of the file, for what is chosen by chance */
  constructor(stand: DrillStand, name: string) {
    this.#stand = stand;
    this.#chance = chance(name);
  }

  /** A node that was started anew has forgotten it. */
  async shortenTimeout(): Promise<void> {
    for (const { port } of (await this.#stand.status()).nodes) {
      await this.#stand.call(port, 'CONFIG', 'SET', 'cluster-node-timeout', String(NODE_TIMEOUT_MS));
    }
  }

  /** One that has not been killed yet, if there is one: after each crash its supervisor waits longer. */
  async choose(role: StandNode['role']): Promise<StandNode> {
    const nodes = (await this.#stand.status()).nodes.filter((node) => node.role === role);
    const least = Math.min(...nodes.map(({ restarts }) => restarts));
    const candidates = nodes.filter(({ restarts }) => restarts === least);
    return candidates[Math.floor(this.#chance() * candidates.length)] as StandNode;
  }

  async replicaOf(master: StandNode): Promise<StandNode> {
    const replica = (await this.#stand.status()).nodes.find(({ masterId }) => masterId === master.id);
    if (replica === undefined) throw new Error(`${master.port} has no replica`);
    return replica;
  }

  /** The replica hears no more of what its master is told, and both stay in the cluster. */
  async cutReplication(master: StandNode, replica: StandNode): Promise<{ mend(): Promise<void> }> {
    const [, password] = (await this.#stand.call(replica.port, 'CONFIG', 'GET', 'masterauth')) as [string, string];
    await this.#stand.call(replica.port, 'CONFIG', 'SET', 'masterauth', 'another');
    await this.#stand.call(master.port, 'CLIENT', 'KILL', 'TYPE', 'replica');
    return {
      mend: async () => {
        await this.#stand.call(replica.port, 'CONFIG', 'SET', 'masterauth', password);
      },
    };
  }
}
