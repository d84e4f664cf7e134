import { describe, expect, it } from 'vitest';
import { containerNetwork } from '../../../src/deploy/network.js';
import { requireFree } from '../../../src/deploy/obstacles.js';
import type { DeployObstacle } from '../../../src/deploy/plan.js';
import type { ForgeError } from '../../../src/errors.js';

const image = (host: string): DeployObstacle => ({
  host,
  kind: 'no-image',
  name: 'r:1',
  message: 'The image r:1 is not there.',
});
const taken: DeployObstacle = {
  host: 'a1',
  kind: 'name-taken',
  name: 'x',
  message: 'A container of the name x is there.',
};

function refusal(obstacles: readonly DeployObstacle[], ways?: readonly string[]): ForgeError {
  try {
    requireFree(obstacles, ways);
  } catch (error) {
    return error as ForgeError;
  }
  throw new Error('nothing was thrown');
}

describe('what is in the way of a deployment', () => {
  it('is nothing when nothing is', () => {
    expect(() => requireFree([])).not.toThrow();
  });

  it('is told of all hosts, with every way that an image gets there', () => {
    expect(refusal([image('a1'), image('a2')], ['--build', '--pull'])).toMatchObject({
      kind: 'missing',
      host: 'a1, a2',
      message: 'a1: The image r:1 is not there.\na2: The image r:1 is not there.',
      next: ['Bring it there: --build, --pull, docker pull r:1, docker save and docker load.'],
    });
    expect(refusal([image('a1')]).next).toEqual(['Bring it there: docker pull r:1, docker save and docker load.']);
  });

  it('is a refusal when a name is somebody else’s', () => {
    expect(refusal([image('a2'), taken])).toMatchObject({
      kind: 'refused',
      next: [expect.stringContaining('forge does not touch it')],
    });
  });
});

describe('the network of a container', () => {
  it('is the host’s, without ports, or one with the same ports on both sides', () => {
    expect(containerNetwork({ kind: 'host' }, [7001])).toEqual({ options: { network: 'host', publish: [] }, made: {} });
    expect(containerNetwork({ kind: 'bridge', name: 'n', subnet: '10.1.0.0/24' }, [7001, 17001])).toEqual({
      options: {
        network: 'n',
        publish: [7001, 17001].map((port) => ({ hostPort: port, containerPort: port })),
      },
      made: { network: { name: 'n', subnet: '10.1.0.0/24' } },
    });
    expect(containerNetwork({ kind: 'bridge', name: 'n' }, []).made).toEqual({ network: { name: 'n' } });
  });
});
