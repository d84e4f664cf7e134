import { describe, expect, it } from 'vitest';
import type { ClusterNode } from '../../../../src/cluster/cluster-node.js';
import { parseClusterNodes } from '../../../../src/cluster/parse-nodes.js';
import { differenceOf } from '../../../../src/operations/steps/difference.js';

const [A, B] = ['a', 'b'].map((letter) => letter.repeat(40)) as [string, string];
const label = (id: string) => id.slice(0, 1);

/** One line of CLUSTER NODES. */
function node({ flags = 'master', master = '-', link = 'connected', slots = '' } = {}): ClusterNode {
  const line = `${A} 10.0.0.1:6379@16379 ${flags} ${master} 0 0 1 ${link} ${slots}`.trim();
  return parseClusterNodes(`${line}\n`, 'n')[0] as ClusterNode;
}

describe('what another sees differently', () => {
  it.each([
    ['does not know it', undefined, node()],
    ['holds it for dead', node({ flags: 'master,fail' }), node()],
    ['sees a replica of b, it says master', node({ flags: 'slave', master: B }), node()],
    ['sees a master, it says replica of b', node(), node({ flags: 'myself,slave', master: B })],
    ['sees 1 slot that it does not have (5)', node({ slots: '5' }), node()],
    ['does not see 10 slots that it has (0-9)', node(), node({ slots: '0-9' })],
    [
      'sees 2 slots that it does not have (10-11), does not see 1 slot that it has (0)',
      node({ slots: '1-11' }),
      node({ slots: '0-9' }),
    ],
    ['has no link to it', node({ link: 'disconnected' }), node()],
  ])('%s', (words, seen, own) => {
    expect(differenceOf(seen, own, label)).toBe(words);
  });
});
