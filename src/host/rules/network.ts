/** Checks of the network's settings. */
import { fail, named, warn } from '../../operations/health/finding.js';
import type { HostFacts } from '../facts.js';
import { type HostCheck, untold } from '../finding.js';
import { percent } from '../words.js';

/** Fewer ports for outgoing connections are used up by closed ones, which hold theirs for a minute. */
const EPHEMERAL_MIN = 10_000;
const CONNTRACK_PART_WARN = 0.8;
const CONNTRACK_PART_FAIL = 0.95;

function numberOf({ sysctls }: HostFacts, key: string): number | undefined {
  const text = sysctls.get(key);
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

export const backlog: HostCheck = {
  name: 'backlog',
  about: 'connections that arrive together can wait to be accepted',
  why: 'What arrives while the queue is full is dropped, and the client tries again a second later: a storm of reconnects lasts.',
  next: 'forge host tune raises both to 4096; servers take it when they are started again.',
  judge(facts, needs) {
    const wanted = `net.core.somaxconn and net.ipv4.tcp_max_syn_backlog at least ${needs.backlog}`;
    const queue = numberOf(facts, 'net.core.somaxconn');
    const half = numberOf(facts, 'net.ipv4.tcp_max_syn_backlog');
    if (queue === undefined) return untold(wanted, 'net.core.somaxconn');
    const reasons = [];
    if (queue < needs.backlog)
      reasons.push(warn(`net.core.somaxconn is ${queue}: tcp-backlog ${needs.backlog} is cut to it`));
    if (half !== undefined && half < needs.backlog) reasons.push(warn(`net.ipv4.tcp_max_syn_backlog is ${half}`));
    return { value: `${queue}, ${half ?? 'unknown'}`, wanted, reasons };
  },
};

/** `1-3,7` holds 1, 2, 3 and 7. */
export function isReserved(list: string, port: number): boolean {
  return list.split(',').some((part) => {
    const [first, last = first] = part.trim().split('-');
    return first !== undefined && first !== '' && port >= Number(first) && port <= Number(last);
  });
}

/** Ports of ours that the kernel may give to any outgoing connection. */
export function exposedPorts({ sysctls }: HostFacts, ports: readonly number[]): number[] {
  const [first, last] = sysctls.get('net.ipv4.ip_local_port_range')?.split(' ').map(Number) ?? [];
  if (first === undefined || last === undefined) return [];
  const reserved = sysctls.get('net.ipv4.ip_local_reserved_ports') ?? '';
  return ports.filter((port) => port >= first && port <= last && !isReserved(reserved, port));
}

export const ports: HostCheck = {
  name: 'ports',
  about: 'no outgoing connection takes a port that a node listens on',
  why: 'A port of the range for outgoing connections may be in use when a node starts again, and then it does not start.',
  next: 'forge host tune reserves them (net.ipv4.ip_local_reserved_ports), or choose ports below the range.',
  judge(facts, needs) {
    const range = facts.sysctls.get('net.ipv4.ip_local_port_range');
    const wanted = 'ports of the nodes and their bus outside of it, or reserved';
    if (range === undefined) return untold(wanted, 'net.ipv4.ip_local_port_range');
    const [first = 0, last = 0] = range.split(' ').map(Number);
    const exposed = exposedPorts(facts, needs.ports);
    const reasons = [];
    if (exposed.length > 0) {
      reasons.push(warn(`in the range ${first}–${last} for outgoing connections: ${named(exposed.map(String))}`));
    }
    if (last - first + 1 < EPHEMERAL_MIN) {
      reasons.push(warn(`only ${Math.max(0, last - first + 1)} ports are there for outgoing connections`));
    }
    return { value: range, wanted, reasons };
  },
};

export const conntrack: HostCheck = {
  name: 'conntrack',
  about: 'the firewall’s table of connections has room',
  why: 'When the table is full the kernel drops packets of new connections, which looks like a network that loses some.',
  next: 'Raise net.netfilter.nf_conntrack_max (320 bytes each), or take the ports of Redis out of tracking.',
  judge(facts) {
    const max = numberOf(facts, 'net.netfilter.nf_conntrack_max');
    const used = numberOf(facts, 'net.netfilter.nf_conntrack_count');
    if (max === undefined || used === undefined || max === 0) return undefined;
    const part = used / max;
    const text = `${used} of ${max} entries are in use`;
    const verdict = part >= CONNTRACK_PART_FAIL ? [fail(text)] : part >= CONNTRACK_PART_WARN ? [warn(text)] : [];
    return { value: `${percent(part)} of ${max}`, wanted: `below ${percent(CONNTRACK_PART_WARN)}`, reasons: verdict };
  },
};
