import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestFifo } from '../../../../../src/proxy/engine/core/fifo.js';
import { Request } from '../../../../../src/proxy/engine/core/request.js';

describe('the order of commands in flight', () => {
  it('is kept as an array would keep it, through growth, wrapping round and replacement', () => {
    const step = fc.oneof(
      fc.nat({ max: 100 }).map((count) => ({ type: 'push' as const, count })),
      fc.nat({ max: 100 }).map((count) => ({ type: 'shift' as const, count })),
      fc.nat().map((count) => ({ type: 'replace' as const, count })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const fifo = new RequestFifo();
        const model: Request[] = [];
        for (const { type, count } of steps) {
          if (type === 'push') {
            for (let i = 0; i < count; i++) {
              const request = new Request();
              fifo.push(request);
              model.push(request);
            }
          } else if (type === 'shift') {
            for (let i = 0; i < count && model.length > 0; i++) {
              expect(fifo.peek()).toBe(model[0]);
              expect(fifo.shift()).toBe(model.shift());
            }
          } else if (model.length > 0) {
            const request = new Request();
            fifo.replace(count % model.length, request);
            model[count % model.length] = request;
          }
          expect(fifo.length).toBe(model.length);
        }
        expect(Array.from({ length: fifo.length }, (_, i) => fifo.at(i))).toEqual(model);
      }),
      { numRuns: 200 },
    );
  });
});
