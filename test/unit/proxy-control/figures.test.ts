import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pickFigures } from '../../../src/proxy/control/status.js';

describe('pickFigures', () => {
  it('takes the figures of listeners and clusters, whatever they are called', () => {
    expect(
      pickFigures({
        stats: [
          { name: 'redis.egress_redis.downstream_cx_active', value: 3 },
          { name: 'redis.egress_redis.downstream_rq_total', value: 19_204 },
          { name: 'redis.egress_redis.downstream_cx_rx_bytes_total', value: 1 },
          { name: 'cluster.main.upstream_cx_active', value: 6 },
          { histograms: {} },
        ],
      }),
    ).toEqual({
      'redis.egress_redis.downstream_cx_active': 3,
      'redis.egress_redis.downstream_rq_total': 19_204,
      'cluster.main.upstream_cx_active': 6,
    });
  });

  it('takes nothing from what is no statistics page', () => {
    fc.assert(fc.property(fc.jsonValue(), (document) => Object.keys(pickFigures(document)).length === 0));
  });
});
