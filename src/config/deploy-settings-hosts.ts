/** On which Docker host everything runs. Pure. */
import { isIP } from 'node:net';
import { nearest } from '../proxy/config/nearest.js';
import type { DeployHost } from './deploy-settings.js';
import type { HostsSection } from './deploy-settings-schema.js';

/** Whether an address or a name is this machine's own. */
export type IsOwn = (host: string) => boolean;

/** Docker hosts by name; those that forge.yaml does not list come into being when they are asked for. */
export class DeployHosts {
  readonly #known = new Map<string, DeployHost>();
  readonly #used = new Set<string>();
  readonly #isOwn: IsOwn;

  constructor(section: HostsSection, isOwn: IsOwn) {
    this.#isOwn = isOwn;
    for (const [name, { docker, context, address }] of Object.entries(section)) {
      const place = address ?? addressOf(docker) ?? (docker === undefined ? name : '127.0.0.1');
      if (docker === undefined && context === undefined) this.#known.set(name, { ...this.#implied(place), name });
      else {
        const engine = context === undefined ? { docker } : { context };
        this.#known.set(name, { name, ...engine, address: place });
      }
    }
  }

  /** What is listed under `hosts`, by its name. */
  listed(name: string): DeployHost | undefined {
    const host = this.#known.get(name);
    if (host !== undefined) this.#used.add(host.name);
    return host;
  }

  /** What is wrong with a name that is not listed. */
  unknown(name: string): string {
    const names = [...this.#known.keys()];
    const guess = nearest(name, names);
    if (guess !== null) return `no host is named '${name}'; did you mean '${guess}'?`;
    return names.length === 0
      ? `no host is named '${name}': there are no hosts`
      : `no host is named '${name}'; there is ${names.join(', ')}`;
  }

  /** The listed host of this name or address; else this machine's engine, or Docker over ssh. */
  at(host: string): DeployHost {
    const listed = this.#known.get(host) ?? [...this.#known.values()].find((each) => each.address === host);
    const found = listed ?? this.#implied(host);
    this.#known.set(found.name, found);
    this.#used.add(found.name);
    return found;
  }

  #implied(host: string): DeployHost {
    if (this.#isOwn(host)) return { name: host, address: host };
    return { name: host, docker: `ssh://${isIP(host) === 6 ? `[${host}]` : host}`, address: host };
  }

  /** Those that something runs on, in the order in which they were asked for. */
  get used(): DeployHost[] {
    return [...this.#used].flatMap((name) => this.#known.get(name) ?? []);
  }
}

/** The host of `ssh://user@host:22` and `tcp://host:2376`. */
function addressOf(docker: string | undefined): string | undefined {
  const match = /^(?:ssh|tcp):\/\/(?:[^@/]*@)?(?:\[([^\]]+)\]|([^:/]+))/.exec(docker ?? '');
  return match?.[1] ?? match?.[2];
}

/** The same for two names of the same engine: what they publish is on the same ports. */
export function engineOf({ docker, context }: Pick<DeployHost, 'docker' | 'context'>): string {
  if (context !== undefined) return `context ${context}`;
  return docker === undefined || docker === 'unix:///var/run/docker.sock' ? 'here' : docker;
}
