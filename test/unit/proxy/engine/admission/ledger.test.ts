import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FULL, Ledger, ledgerBytes, UNCOUNTED } from '../../../../../src/proxy/engine/admission/ledger.js';

const WORKERS = 3;

const step = fc.record({
  worker: fc.nat(WORKERS - 1),
  name: fc.nat(5),
  kind: fc.constantFrom('enter', 'enter', 'enter', 'leave', 'leave', 'die'),
});

describe('a ledger', () => {
  it('counts by name as a list would, never above the limit, and takes out what a dead worker held', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 120 }), (most, steps) => {
        const memory = new SharedArrayBuffer(ledgerBytes(WORKERS));
        const ledgers = Array.from({ length: WORKERS }, () => new Ledger(memory, WORKERS));
        let model: { worker: number; name: number; place: number }[] = [];
        for (const { worker, name, kind } of steps) {
          const ledger = ledgers[worker]!;
          if (kind === 'enter') {
            const there = model.filter((each) => each.name === name).length;
            const place = ledger.addresses.enter(`192.0.2.${name}`, worker, most);
            expect(place === FULL).toBe(there >= most);
            if (place === FULL) continue;
            expect(place).toBeGreaterThanOrEqual(0);
            model.push({ worker, name, place });
          } else if (kind === 'leave') {
            const index = model.findIndex((each) => each.worker === worker && each.name === name);
            if (index < 0) continue;
            ledger.addresses.leave(model[index]!.place, worker);
            model.splice(index, 1);
          } else {
            ledgers[0]!.clear(worker);
            model = model.filter((each) => each.worker !== worker);
          }
          for (const { place, name: which } of model)
            expect(ledger.addresses.count(place)).toBe(model.filter((each) => each.name === which).length);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('counts connections in all exactly, and gives back those of a dead worker', () => {
    const memory = new SharedArrayBuffer(ledgerBytes(WORKERS));
    const ledgers = Array.from({ length: WORKERS }, () => new Ledger(memory, WORKERS));
    for (let i = 0; i < 10; i++) expect(ledgers[i % WORKERS]!.connect(i % WORKERS, 10)).toBe(true);
    expect(ledgers[1]!.connect(1, 10)).toBe(false);
    ledgers[0]!.disconnect(0);
    expect(ledgers[2]!.connect(2, 10)).toBe(true);
    ledgers[0]!.clear(2);
    expect(ledgers[0]!.connections).toBe(6);
    // A lock that it held does not stay.
    new Int32Array(memory)[0] = 3;
    ledgers[0]!.clear(2);
    expect(ledgers[0]!.addresses.enter('a', 0, 1)).toBeGreaterThanOrEqual(0);
  });

  it('uses places again; a name that finds none is not counted, and let in', () => {
    const ledger = new Ledger(new SharedArrayBuffer(ledgerBytes(1)), 1);
    for (let i = 0; i < 20_000; i++) {
      const place = ledger.users.enter(`user ${i}`, 0, 1);
      expect(place).toBeGreaterThanOrEqual(0);
      ledger.users.leave(place, 0);
    }
    let uncounted = 0;
    for (let i = 0; i < 5000; i++) if (ledger.users.enter(`more ${i}`, 0, 1) === UNCOUNTED) uncounted++;
    expect(uncounted).toBeGreaterThanOrEqual(5000 - 4096);
  });

  it('tells when a place was another name before', () => {
    const ledger = new Ledger(new SharedArrayBuffer(ledgerBytes(1)), 1);
    const claimed: number[] = [];
    const place = ledger.users.enter('a', 0, 2, (at) => claimed.push(at));
    ledger.users.leave(place, 0);
    expect(ledger.users.enter('a', 0, 2, (at) => claimed.push(at))).toBe(place);
    expect(claimed).toEqual([place]);
  });
});
