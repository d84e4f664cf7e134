import { describe, expect, it } from 'vitest';
import { ON_ITS_WAY_MS, PublishOrder } from '../../../../../src/proxy/engine/pubsub/publish-order.js';

const SLOT = 866;

describe('what is published to a slot', () => {
  it('does not wait at the first node, nor at the same', () => {
    const order = new PublishOrder();
    expect(order.waitMs(SLOT, 3, 1000)).toBe(0);
    expect(order.waitMs(SLOT, 3, 1001)).toBe(0);
    expect(order.waitMs(SLOT + 1, 4, 1001)).toBe(0);
  });

  it('waits at another node while what came before may be on its way, for everybody', () => {
    const order = new PublishOrder();
    order.waitMs(SLOT, 3, 1000);
    expect(order.waitMs(SLOT, 4, 1500)).toBe(ON_ITS_WAY_MS);
    expect(order.waitMs(SLOT, 4, 1501)).toBe(ON_ITS_WAY_MS);
    order.published(SLOT, 4, 1600);
    expect(order.waitMs(SLOT, 4, 1600)).toBe(0);
    // And back.
    expect(order.waitMs(SLOT, 3, 1601)).toBe(ON_ITS_WAY_MS);
  });

  it('does not wait when nothing was published for a second', () => {
    const order = new PublishOrder();
    order.waitMs(SLOT, 3, 1000);
    expect(order.waitMs(SLOT, 4, 2000)).toBe(0);
    expect(order.waitMs(SLOT, 3, 2001)).toBe(ON_ITS_WAY_MS);
  });

  it('goes when its time has come, in its order', () => {
    const order = new PublishOrder();
    const gone: number[] = [];
    order.hold(1100, () => gone.push(1));
    order.hold(1120, () => {
      gone.push(2);
      order.hold(1220, () => gone.push(4));
    });
    order.hold(1100, () => gone.push(3));
    order.tick(1099);
    expect(gone).toEqual([]);
    order.tick(1100);
    expect(gone).toEqual([1, 3]);
    order.tick(1130);
    order.tick(1219);
    expect(gone).toEqual([1, 3, 2]);
    order.tick(1220);
    expect(gone).toEqual([1, 3, 2, 4]);
  });
});
