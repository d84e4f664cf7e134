import { describe, expect, it } from 'vitest';
import { nodeOfContainer } from '../../../src/deploy/redis-deployment.js';
import { deploySettings } from '../../support/deploy-settings.js';

const settings = deploySettings({ ports: [7001] });
const [first] = settings.nodes;
if (first === undefined) throw new Error('no node');
/** Every host of a cluster has its node on the same port, and so under the same name. */
const nodes = ['a1', 'a2', 'a3'].map((host) => ({ ...first, host, dockerHost: host }));
const container = (host: string, name = 'orders-redis-7001') => ({ host, options: { name } });

describe('the node that a container is', () => {
  it('is that of its own host, where several hosts have one of the same name', () => {
    expect(['a1', 'a2', 'a3'].map((host) => nodeOfContainer(settings, nodes, container(host)).host)).toEqual([
      'a1',
      'a2',
      'a3',
    ]);
  });

  it.each([container('a4'), container('a1', 'orders-redis-7002'), container('a1', 'redis-7001')])(
    'is none for $options.name on $host',
    (unknown) => {
      expect(() => nodeOfContainer(settings, nodes, unknown)).toThrow(`no node ${unknown.options.name}`);
    },
  );
});
