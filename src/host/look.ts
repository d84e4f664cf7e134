/** Looks at hosts: runs templates/host-facts.sh there, and judges what it says. */
import { settleBounded } from '../cluster/bounded.js';
import { type ErrorKind, ForgeError } from '../errors.js';
import { readTemplate } from '../runtime/template.js';
import { type HostFacts, parseFacts } from './facts.js';
import { type HostHealth, judgeHost } from './judge.js';
import { type HostNeeds, NEEDS_DEFAULT } from './needs.js';
import { type HostShell, openShell } from './shell.js';
import type { HostTarget } from './target.js';

/** Hosts that are looked at together. */
const PARALLEL_MAX = 16;
const MEASURE_MS = 20_000;
const SHOWN_MAX = 300;

export interface LookOptions {
  /** Folders that data is in; docker's without any. */
  readonly folders?: readonly string[];
  /** Measures the disk by 32 small writes. */
  readonly measure?: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * What the host is like.
 * @throws ForgeError what the shell throws, and `verification` when its answer is none
 */
export async function lookAt(shell: HostShell, options: LookOptions = {}): Promise<HostFacts> {
  const { folders = [], measure = false, signal } = options;
  const timeoutMs = options.timeoutMs ?? (measure ? MEASURE_MS : undefined);
  const script = await readTemplate('host-facts.sh');
  const { code, stdout, stderr } = await shell.runScript(script, [measure ? 'yes' : 'no', ...folders], {
    timeoutMs,
    signal,
  });
  const { name } = shell.target;
  if (code !== 0 && !stdout.startsWith('format')) {
    const said = stderr.trim().slice(0, SHOWN_MAX) || `exit code ${code}`;
    throw new ForgeError(/sudo/.test(said) ? 'denied' : 'verification', `${name} cannot be looked at: ${said}`, {
      host: name,
      next: /sudo/.test(said)
        ? 'Let this user call sudo without a password, or log in as root.'
        : 'Try: ssh HOST sh -c true',
    });
  }
  return parseFacts(stdout, name);
}

/** A host to be looked at, and what is to run there. */
export interface HostToCheck {
  readonly target: HostTarget;
  readonly needs?: HostNeeds;
  readonly folders?: readonly string[];
}

export interface HostFailure {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly next: readonly string[];
}

export interface CheckedHost {
  readonly host: string;
  /** `Debian GNU/Linux 12, kernel 6.1.0, 8 processors`; undefined when it could not be looked at. */
  readonly system?: string;
  readonly health?: HostHealth;
  readonly failure?: HostFailure;
}

export interface CheckHostsOptions extends Pick<LookOptions, 'measure' | 'timeoutMs' | 'signal'> {
  readonly sudo?: boolean;
}

/** Looks at all of them, several at once; one that cannot be looked at is told and does not hold the others up. */
export async function checkHosts(
  hosts: readonly HostToCheck[],
  options: CheckHostsOptions = {},
): Promise<CheckedHost[]> {
  const settled = await settleBounded(hosts, PARALLEL_MAX, async ({ target, needs = NEEDS_DEFAULT, folders }) => {
    const facts = await lookAt(openShell(target, { sudo: options.sudo }), { ...options, folders });
    return { host: target.name, system: describeSystem(facts), health: judgeHost(facts, needs) };
  });
  options.signal?.throwIfAborted();
  return settled.map((result, index): CheckedHost => {
    if (result.status === 'fulfilled') return result.value;
    if (!(result.reason instanceof ForgeError)) throw result.reason;
    const { kind, message, next } = result.reason;
    return { host: hosts[index]?.target.name ?? '', failure: { kind, message, next } };
  });
}

function describeSystem({ distribution, system, kernel, cpus }: HostFacts): string {
  const processors = cpus === undefined ? [] : [`${cpus} ${cpus === 1 ? 'processor' : 'processors'}`];
  return [distribution ?? system, `kernel ${kernel}`, ...processors].join(', ');
}
