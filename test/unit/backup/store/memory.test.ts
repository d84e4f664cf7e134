import { describe, expect, it } from 'vitest';
import { PartMemory } from '../../../../src/backup/store/s3/memory.js';

const never = new AbortController().signal;

describe('the memory of parts', () => {
  it('is given in the order of asking, and never above its bound', async () => {
    const memory = new PartMemory(20);
    const order: string[] = [];
    const first = await memory.acquire(8, never);
    const second = await memory.acquire(8, never);
    const third = memory.acquire(12, never).then((buffer) => {
      order.push('third');
      return buffer;
    });
    // It would fit, and waits for its turn: else a large part would never come to it.
    const fourth = memory.acquire(4, never).then((buffer) => {
      order.push('fourth');
      return buffer;
    });
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    memory.release(first);
    await third;
    expect(memory.taken).toBe(20);
    memory.release(second);
    await fourth;
    expect(order).toEqual(['third', 'fourth']);
    expect(memory.taken).toBe(16);
    memory.release(await third);
    memory.release(await fourth);
    expect(memory.taken).toBe(0);
  });

  it('is given whole to a part that is larger', async () => {
    const memory = new PartMemory(10);
    const small = await memory.acquire(4, never);
    let large: Buffer | undefined;
    const asked = memory.acquire(30, never).then((buffer) => {
      large = buffer;
    });
    await new Promise(setImmediate);
    expect(large).toBeUndefined();
    memory.release(small);
    await asked;
    expect(large).toHaveLength(30);
  });

  it('uses buffers again', async () => {
    const memory = new PartMemory(16);
    const one = await memory.acquire(8, never);
    memory.release(one);
    expect(await memory.acquire(8, never)).toBe(one);
    expect(await memory.acquire(8, never)).not.toBe(one);
  });

  it('is not waited for by whoever was told to end, and goes to the next', async () => {
    const memory = new PartMemory(8);
    const held = await memory.acquire(6, never);
    const control = new AbortController();
    const ended = memory.acquire(8, control.signal);
    const next = memory.acquire(2, never);
    control.abort(new Error('enough'));
    await expect(ended).rejects.toThrow('enough');
    await expect(memory.acquire(1, control.signal)).rejects.toThrow('enough');
    expect(await next).toHaveLength(2);
    memory.release(held);
    expect(memory.taken).toBe(2);
  });
});
