/** What may happen to the cluster of a soak: each by numbers from its seed, so that a run can be repeated. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillStand, StandNode } from '../support/drill-stand.js';

const HANG_MIN_MS = 1_000;
const HANG_MAX_MS = 8_000;

/** Numbers in [0, 1). */
export type Random = () => number;

export interface Action {
  readonly name: string;
  /** Clients may be told errors, and what was acknowledged shortly before may be lost. */
  readonly sudden: boolean;
  readonly run: (about: { stand: DrillStand; spare: readonly number[]; random: Random }) => Promise<string>;
}

async function choose(stand: DrillStand, role: StandNode['role'], random: Random): Promise<StandNode> {
  const nodes = (await stand.status()).nodes.filter((node) => node.role === role).sort((a, b) => a.port - b.port);
  return nodes[Math.floor(random() * nodes.length)] as StandNode;
}

const killed = (role: StandNode['role']): Action => ({
  name: `kill -9 of a ${role}`,
  sudden: role === 'master',
  run: async ({ stand, random }) => {
    const { port, pid } = await choose(stand, role, random);
    process.kill(pid, 'SIGKILL');
    return String(port);
  },
});

const hangs = (role: StandNode['role']): Action => ({
  name: `a ${role} that hangs`,
  sudden: role === 'master',
  run: async ({ stand, random }) => {
    const { port, pid } = await choose(stand, role, random);
    const ms = HANG_MIN_MS + random() * (HANG_MAX_MS - HANG_MIN_MS);
    process.kill(pid, 'SIGSTOP');
    await sleep(ms);
    process.kill(pid, 'SIGCONT');
    return `${port} for ${Math.round(ms)} ms`;
  },
});

const command = (name: string, ...words: string[]): Action => ({
  name,
  sudden: false,
  run: async ({ stand }) => {
    await stand.forge(...words);
    return '';
  },
});

export const ACTIONS: readonly Action[] = [
  killed('master'),
  killed('replica'),
  hangs('master'),
  hangs('replica'),
  {
    name: 'planned failover',
    sudden: false,
    run: async ({ stand, random }) => {
      const { id, port } = await choose(stand, 'replica', random);
      await stand.forge('cluster', 'failover', id, '--yes');
      return `to ${port}`;
    },
  },
  command('rolling restart', 'cluster', 'restart', '--yes'),
  command('reload of the proxy', 'proxy', 'reload'),
  command('upgrade of the proxy', 'proxy', 'upgrade'),
  {
    name: 'three masters to four to three',
    sudden: false,
    run: async ({ stand, spare }) => {
      const nodes = spare.map((port) => `127.0.0.1:${port}`).join(',');
      await stand.forge('scale', 'add', nodes, '--replicas', '1', '--yes');
      await stand.forge('scale', 'remove', nodes, '--with-replicas', '--yes');
      return '';
    },
  },
];
