/** Which hosts a command means, by its flags and forge.yaml, and what is to run on them. */
import { isDeepStrictEqual } from 'node:util';
import { ForgeError } from '../errors.js';
import { type ClusterHosts, hostsOf } from './hosts-of.js';
import type { HostToCheck } from './look.js';
import { type HostNeeds, needsOf } from './needs.js';
import { ownNames, parseTarget, THIS_MACHINE } from './target.js';
import { parseMemory } from './words.js';

/** More is a mistake. */
const HOSTS_MAX = 1_000;

export interface HostChoice {
  readonly host?: readonly string[];
  readonly all?: boolean;
  readonly maxmemory?: string;
  readonly port?: readonly number[];
  readonly data?: readonly string[];
}

/** @throws ForgeError `usage` for a size that is none */
export function maxmemoryOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const size = parseMemory(text);
  if (size !== undefined) return size;
  throw new ForgeError('usage', `--maxmemory ${text}: no size.`, { next: 'Write it as redis.conf does: 500mb, 3gb.' });
}

function needsByFlags({ port = [] }: HostChoice, maxmemoryBytes: number | undefined): HostNeeds {
  if (port.length > 0) return needsOf(port.map((each) => ({ port: each, maxmemoryBytes })));
  return { ...needsOf([]), maxmemoryBytes };
}

/**
 * The hosts that are named, each with its nodes of forge.yaml where it has any; all of forge.yaml with `all`; this machine
 * when nothing is said.
 * @param cluster of forge.yaml; undefined when there is none
 * @throws ForgeError `usage` for what is no host, and for `all` without nodes in forge.yaml
 */
export function chooseHosts(choice: HostChoice, cluster: ClusterHosts | undefined, own = ownNames()): HostToCheck[] {
  const maxmemoryBytes = maxmemoryOf(choice.maxmemory);
  const folders = choice.data;
  const listed = cluster === undefined ? [] : hostsOf(cluster, { maxmemoryBytes, folders, own });
  if (choice.all) {
    if (listed.length > 0) return listed;
    throw new ForgeError('usage', '--all: forge.yaml lists no nodes.', {
      next: 'Name hosts with --host, or the file with --config.',
    });
  }
  const named = choice.host ?? [];
  if (named.length > HOSTS_MAX) throw new ForgeError('usage', `${named.length} hosts are more than ${HOSTS_MAX}.`);
  const plain = { needs: needsByFlags(choice, maxmemoryBytes), ...(folders === undefined ? {} : { folders }) };
  const withPorts = (host: HostToCheck) => ((choice.port ?? []).length > 0 ? { ...host, needs: plain.needs } : host);
  const targets = named.length === 0 ? [THIS_MACHINE] : named;
  return targets.map((each): HostToCheck => {
    const byName = typeof each === 'string' ? listed.find(({ target }) => target.name === each.trim()) : undefined;
    if (byName !== undefined) return withPorts(byName);
    const target = typeof each === 'string' ? parseTarget(each, own) : each;
    const known = listed.find((host) => isDeepStrictEqual(host.target.ssh, target.ssh));
    return known === undefined ? { target, ...plain } : withPorts({ ...known, target });
  });
}
