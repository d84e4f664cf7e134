/** Refuses an image whose proxy is older than the one that serves, before anything of that one is changed. */
import { changes } from '../docker/command.js';
import { ForgeError } from '../errors.js';
import type { Deployment } from './deployment.js';
import type { DeployAction } from './plan.js';
import { runningProxyVersion, versionIn } from './program-facts.js';
import { PROXY_PROGRAM } from './proxy-container.js';

/** A container is made, and the program started, on a busy host as well. */
const TRIAL_TIMEOUT_MS = 60_000;

/**
 * Asks the proxies that would be replaced by another image, and that image in a container of its own without a network,
 * which is gone afterwards.
 * @throws ForgeError `refused` for an older one, with all of them; `missing` for an image without a proxy
 */
export async function requireNoOlderProxy(
  deployment: Pick<Deployment, 'engine' | 'seen'>,
  actions: readonly DeployAction[],
): Promise<void> {
  const found = await Promise.all(actions.map((action) => olderProxy(deployment, action)));
  const older = found.filter((each) => each !== undefined);
  if (older.length === 0) return;
  throw new ForgeError('refused', older.map(({ message }) => message).join('\n'), {
    host: older.map(({ host }) => host).join(', '),
    next: [
      'Nothing was changed. Build the image from the executable of this forge, and name it: proxy.image.',
      'To go back on purpose, clients reconnecting: forge deploy proxy --now',
    ],
  });
}

async function olderProxy(
  deployment: Pick<Deployment, 'engine' | 'seen'>,
  { kind, desired, observed }: DeployAction,
): Promise<{ host: string; message: string } | undefined> {
  if (kind !== 'replace' || observed?.status !== 'running') return undefined;
  const { host, options } = desired;
  // The same image, with other settings.
  if (deployment.seen(host)?.images.get(options.image) === observed.imageId) return undefined;
  const engine = deployment.engine(host);
  const [output, running] = await Promise.all([
    engine.run(changes(trialWords(options.image), TRIAL_TIMEOUT_MS)),
    runningProxyVersion(engine, observed.name),
  ]);
  const wanted = versionIn(output);
  if (wanted === undefined || running === undefined || !isOlder(wanted, running)) return undefined;
  const message = `${options.name} on ${host} is forge-proxy ${running}, and that of the image ${options.image} is older: ${wanted}.`;
  return { host, message };
}

function trialWords(image: string): string[] {
  const hardened = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--network', 'none'];
  return ['run', '--rm', '--pull', 'never', ...hardened, '--entrypoint', PROXY_PROGRAM, image, '--version'];
}

/** By its numbers: `0.9.1` before `0.10.0`. What follows them does not count. Pure. */
export function isOlder(version: string, other: string): boolean {
  const [one, two] = [numbersOf(version), numbersOf(other)];
  for (let index = 0; index < Math.max(one.length, two.length); index++) {
    const difference = (one[index] ?? 0) - (two[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

const numbersOf = (version: string) => (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
