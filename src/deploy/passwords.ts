/** What a deployment says where passwords stand in its way. */
import { ForgeError } from '../errors.js';
import type { DeployAction } from './plan.js';
import { REDIS_FILES } from './redis-files.js';

const LOGIN_REFUSED = /^(?:WRONGPASS|NOAUTH)\b.*$/m;

/** What a node said of a login that it refused; undefined when it said something else. Pure. */
export function refusedLogin(answer: string): string | undefined {
  return LOGIN_REFUSED.exec(answer)?.[0].trim();
}

/**
 * A node knows its administrator by the password that it was deployed with, and can be told of another by that one only.
 * @param more what else is to be known
 */
export function notLetIn({ desired }: DeployAction, fault: string, more: readonly string[] = []): ForgeError {
  return new ForgeError('denied', `${desired.options.name} does not let the administrator in: ${fault}`, {
    host: desired.host,
    next: [
      'Deploy with the password that it was deployed with.',
      'Or have each node know the new one as well, and deploy again: “Another administrator’s password” in docs/deploy.md.',
      ...more,
    ],
  });
}

/**
 * Refuses to replace nodes of a cluster one after the other when they would log in at each other with another password than
 * before: a replica that is replaced is not let in by a master that is not, and so could not take over from it. Pure.
 * @param rolling nodes that are replaced in an order
 * @throws ForgeError `refused`
 */
export function requireSamePasswords(rolling: Iterable<DeployAction>): void {
  const others = [...rolling].filter(changesPassword).map(({ desired }) => desired.options.name);
  if (others.length === 0) return;
  const message = `The password by which nodes log in at each other changes together with what replaces them: ${others.join(', ')}.`;
  throw new ForgeError('refused', `${message} Replicas would stay away from their masters until all are replaced.`, {
    next: [
      'Nothing was changed. Leave all else as it is, and deploy the password alone, which nodes take while they run: “Another administrator’s password” in docs/deploy.md.',
      'Then deploy the rest.',
    ],
    details: { nodes: others },
  });
}

function changesPassword({ desired, observed }: DeployAction): boolean {
  const before = observed?.files?.get(REDIS_FILES.auth)?.content;
  const after = desired.files.find(({ path }) => path === REDIS_FILES.auth)?.content;
  if (before === undefined || after === undefined) return false;
  return Buffer.compare(before, typeof after === 'string' ? Buffer.from(after) : after) !== 0;
}
