import { describe, expect, it } from 'vitest';
import { chooseSeeds } from '../../../src/config/seeds.js';

describe('the seeds of a cluster', () => {
  const environment = { CLUSTER_SEED: 'a:1', CLUSTER_NODES: 'b:2,c:3', REDIS_PORT: '7000' };

  it.each([
    [{ flag: 'x:9', file: ['f:5'], environment }, 'x:9', '--seed'],
    [{ file: ['f:5'], environment }, 'a:1', 'CLUSTER_SEED'],
    [{ file: ['f:5'], environment: { ...environment, CLUSTER_SEED: ' ' } }, 'b:2,c:3', 'CLUSTER_NODES'],
    [{ file: ['f:5', 'g:6'], environment: { REDIS_PORT: '7000' } }, 'f:5,g:6', 'forge.yaml'],
    [{ file: [], environment: { REDIS_PORT: '7000' } }, '127.0.0.1:7000', 'REDIS_PORT'],
    [{ environment: {} }, '127.0.0.1:6379', 'the default'],
  ])('of %j are %s', (sources, text, source) => {
    expect(chooseSeeds(sources)).toEqual({ text, source });
  });

  it.each(['0', '65536', 'redis', '-1'])('are refused when REDIS_PORT is %s', (port) => {
    expect(() => chooseSeeds({ environment: { REDIS_PORT: port } })).toThrow(/REDIS_PORT is no port/);
  });
});
