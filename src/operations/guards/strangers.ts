/** Who joins must bring nothing along. */
import type { Guard } from './guard.js';

export const notEmpty: Guard = {
  name: 'not-empty',
  protects: 'a node that is to join holds keys, which would be lost or served as the cluster’s',
  check: ({ strangers }) =>
    strangers.flatMap(({ address, keys }) =>
      keys > 0 ? [`${address} holds ${keys === 1 ? '1 key' : `${keys} keys`}`] : [],
    ),
};

export const otherCluster: Guard = {
  name: 'other-cluster',
  protects: 'a node that is to join belongs to another cluster, and would join both together',
  check: ({ strangers }) =>
    strangers.flatMap(({ address, myself, view }) => {
      if (view.nodes.length > 1)
        return [
          `${address} knows ${view.nodes.length === 2 ? 'a node' : `${view.nodes.length - 1} nodes`} of another cluster`,
        ];
      return myself.slots.length > 0 ? [`${address} serves slots of its own`] : [];
    }),
};
