/** What a deployment says when something is in its way before it has begun. Pure. */
import { ForgeError } from '../errors.js';
import type { DeployObstacle } from './plan.js';

/**
 * Refuses to begin.
 * @param ways how a missing image gets there, besides those of docker itself: `--build`
 * @throws ForgeError `missing` when only images are, else `refused`; with everything that is in the way
 */
export function requireFree(obstacles: readonly DeployObstacle[], ways: readonly string[] = []): void {
  if (obstacles.length === 0) return;
  const missing = obstacles.every(({ kind }) => kind === 'no-image');
  const images = unique(obstacles.flatMap(({ kind, name }) => (kind === 'no-image' ? [name] : [])));
  throw new ForgeError(
    missing ? 'missing' : 'refused',
    unique(obstacles.map(({ host, message }) => `${host}: ${message}`)).join('\n'),
    {
      host: unique(obstacles.map(({ host }) => host)).join(', '),
      next: missing
        ? `Bring it there: ${[...ways, ...images.map((image) => `docker pull ${image}`), 'docker save and docker load'].join(', ')}.`
        : 'Rename or remove that container, or choose another name for the cluster; forge does not touch it.',
    },
  );
}

const unique = (texts: readonly string[]) => [...new Set(texts)];
