/** What was asked for, against what there is. Pure. */
import { ForgeError } from '../errors.js';
import type { RuntimeKind } from '../runtime/runtime.js';
import type { ClusterState } from './state.js';

/** `auto`: any free one. */
export type PortChoice = number | 'auto';

/** What `forge up` was told. Undefined is "not said": the default for a new cluster, what there is for an old one. */
export interface AskedShape {
  masters?: number;
  /** So many independent servers in place of a cluster. */
  sharded?: number;
  /** Per master. */
  replicas?: number;
  runtime?: RuntimeKind;
  /** The first node's port; the others follow. */
  basePort?: PortChoice;
  proxyPort?: PortChoice;
  adminPort?: PortChoice;
  /** False with --no-proxy. */
  proxy?: boolean;
}

export interface NewShape {
  /** Independent servers. */
  sharded?: true;
  masters: number;
  replicas: number;
  runtime: RuntimeKind;
  basePort: PortChoice;
  /** Null without a proxy. */
  proxy: { port: PortChoice; adminPort: PortChoice } | null;
}

/** 7000 is taken on macOS (AirPlay); 6379 by any Redis that a package has installed and started. */
export const DEFAULT_BASE_PORT = 7001;
export const DEFAULT_PROXY_PORT = 7379;
/** Envoy's own. */
export const DEFAULT_ADMIN_PORT = 9901;
/** One host will hardly run more; the bound keeps a typing error from starting a thousand processes. */
export const NODES_MAX = 100;

/** The shape of a cluster that does not exist yet. @throws ForgeError `usage` for one that cannot be */
export function newShape(asked: AskedShape): NewShape {
  const sharded = asked.sharded !== undefined;
  if (sharded) refuseClusterFlags(asked);
  const masters = asked.sharded ?? asked.masters ?? 3;
  const replicas = sharded ? 0 : (asked.replicas ?? 1);
  if (sharded && (!Number.isInteger(masters) || masters < 1)) {
    throw new ForgeError('usage', `--sharded ${masters}: give the number of servers, 1 or more.`);
  }
  if (!sharded && (!Number.isInteger(masters) || masters < 3)) {
    throw new ForgeError('usage', `--masters ${masters}: a cluster needs at least 3 masters to agree on a failure.`);
  }
  if (!Number.isInteger(replicas) || replicas < 0) {
    throw new ForgeError('usage', `--replicas ${replicas}: give the number of replicas per master, 0 or more.`);
  }
  if (masters * (1 + replicas) > NODES_MAX) {
    throw new ForgeError('usage', `${masters * (1 + replicas)} nodes are more than ${NODES_MAX} on one host.`, {
      next: sharded
        ? 'Take fewer --sharded servers.'
        : 'Take fewer --masters or --replicas (replicas are counted per master).',
    });
  }
  const automatic = asked.basePort === 'auto';
  return {
    ...(sharded ? { sharded } : {}),
    masters,
    replicas,
    runtime: asked.runtime ?? 'process',
    basePort: asked.basePort ?? DEFAULT_BASE_PORT,
    proxy:
      asked.proxy === false
        ? null
        : {
            port: asked.proxyPort ?? (automatic ? 'auto' : DEFAULT_PROXY_PORT),
            adminPort: asked.adminPort ?? (automatic ? 'auto' : DEFAULT_ADMIN_PORT),
          },
  };
}

/** What only a Redis Cluster has, or can go without. */
function refuseClusterFlags(asked: AskedShape): void {
  const given = [
    ...(asked.masters === undefined ? [] : ['--masters']),
    ...(asked.replicas === undefined ? [] : ['--replicas']),
    ...(asked.proxy === false ? ['--no-proxy'] : []),
  ];
  if (given.length === 0) return;
  throw new ForgeError('usage', `--sharded and ${given.join(' and ')} exclude each other.`, {
    next: '--sharded N starts N servers that know nothing of each other, and the proxy that divides keys among them.',
  });
}

/**
 * Sees to it that an existing cluster is what was asked for.
 * @throws ForgeError `refused`, naming each difference and the ways out
 */
export function checkSameShape(asked: AskedShape, state: ClusterState, name: string): void {
  const differs = (flag: string, want: PortChoice | undefined, is: number | undefined) =>
    want === undefined || want === 'auto' || want === is ? [] : [`${flag} ${want}, but it has ${is ?? 'none'}`];
  const differences = [
    ...differs('--sharded', asked.sharded, state.sharded ? state.masters : undefined),
    ...differs('--masters', asked.masters, state.sharded ? undefined : state.masters),
    ...differs('--replicas', asked.replicas, state.sharded ? undefined : state.replicas),
    ...differs('--base-port', asked.basePort, state.nodePorts[0]),
    ...(state.proxy === null ? [] : differs('--proxy-port', asked.proxyPort, state.proxy.port)),
    ...(state.proxy === null ? [] : differs('--admin-port', asked.adminPort, state.proxy.adminPort)),
    ...(asked.proxy === false && state.proxy !== null ? ['--no-proxy, but it has a proxy'] : []),
    ...(asked.runtime === undefined || asked.runtime === state.runtime
      ? []
      : [`--runtime ${asked.runtime}, but it runs in "${state.runtime}"`]),
  ];
  if (differences.length === 0) return;
  throw new ForgeError(
    'refused',
    `The cluster "${name}" exists with another shape. Asked: ${differences.join('; ')}.`,
    {
      next: [
        'Run forge up without these flags to start it as it is,',
        'or take another --name (with --base-port auto) for a second cluster,',
        `or delete it with its data: forge down --purge --name ${name}`,
      ],
    },
  );
}
