/** The kernel's settings that matter to Redis, when each is right, and what it is set to. Pure. */
import type { HostFacts } from './facts.js';
import type { HostNeeds } from './needs.js';
import { exposedPorts } from './rules/network.js';
import { readPorts, writePorts } from './tune/ports.js';

export interface KernelSetting {
  readonly key: string;
  /** Why it is set, for the file; one sentence. */
  readonly comment: string;
  /** Whether this value will do. */
  right(value: string, facts: HostFacts, needs: HostNeeds): boolean;
  /** Written into an image, of whose values nothing is known: no kernel has a better one by itself. */
  readonly forImages: boolean;
  /** What it is set to when it does not. */
  target(value: string | undefined, facts: HostFacts, needs: HostNeeds): string;
}

const QUEUE = 4096;
const SWAPPINESS = 10;
const FILES = 1_048_576;

const atLeast = (minimum: number) => (value: string) => /^[0-9]+$/.test(value) && BigInt(value) >= BigInt(minimum);

/** The ports that are reserved already, and ours. */
function withReserved(value: string | undefined, exposed: readonly number[]): string {
  return writePorts([...readPorts(value ?? ''), ...exposed]);
}

export const SETTINGS: readonly KernelSetting[] = [
  {
    key: 'vm.overcommit_memory',
    forImages: true,
    comment: 'A fork to save or to rewrite the append-only file is not refused.',
    right: (value) => value === '1',
    target: () => '1',
  },
  {
    key: 'vm.swappiness',
    forImages: true,
    comment: 'Redis stays in memory; matters only with swap.',
    right: (value, { swapBytes }) => swapBytes === 0 || (/^[0-9]+$/.test(value) && Number(value) <= SWAPPINESS),
    target: () => String(SWAPPINESS),
  },
  {
    key: 'vm.zone_reclaim_mode',
    forImages: false,
    comment: 'Memory of the other processor is used before pages are thrown away.',
    right: (value) => value === '0',
    target: () => '0',
  },
  {
    key: 'net.core.somaxconn',
    forImages: true,
    comment: 'Room for connections that wait to be accepted; tcp-backlog is cut to it.',
    right: (value, _, { backlog }) => atLeast(backlog)(value),
    target: (_, __, { backlog }) => String(Math.max(QUEUE, backlog)),
  },
  {
    key: 'net.ipv4.tcp_max_syn_backlog',
    forImages: false,
    comment: 'The same for connections whose handshake is not complete.',
    right: (value, _, { backlog }) => atLeast(backlog)(value),
    target: (_, __, { backlog }) => String(Math.max(QUEUE, backlog)),
  },
  {
    key: 'net.ipv4.ip_local_reserved_ports',
    forImages: true,
    comment: 'Ports of nodes that no outgoing connection may take.',
    right: (value, facts, { ports }) =>
      exposedPorts({ ...facts, sysctls: new Map([...facts.sysctls, [RESERVED, value]]) }, ports).length === 0,
    target: (value, facts, { ports }) => withReserved(value, exposedPorts(facts, ports)),
  },
  {
    key: 'fs.file-max',
    forImages: false,
    comment: 'Open files of the whole host.',
    right: (value, _, { nodes, filesPerNode }) => atLeast(nodes * filesPerNode + 100_000)(value),
    target: (_, __, { nodes, filesPerNode }) => String(Math.max(FILES, nodes * filesPerNode + 100_000)),
  },
];

const RESERVED = 'net.ipv4.ip_local_reserved_ports';

export function isRight(setting: KernelSetting, value: string, facts: HostFacts, needs: HostNeeds): boolean {
  return setting.right(value.trim(), facts, needs);
}
