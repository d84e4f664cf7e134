import { describe, expect, it } from 'vitest';
import { LAG_MAX_BYTES, StreamWatch } from '../../../../src/operations/steps/stream.js';

const line = (offset: number, state = 'online') => `ip=10.0.0.2,port=6379,state=${state},offset=${offset},lag=0`;
const master = (written: number, ...lines: string[]) =>
  new Map([
    ['role', 'master'],
    ...lines.map((each, index) => [`slave${index}`, each] as const),
    ['slave_expires_tracked_keys', '0'],
    ['master_repl_offset', String(written)],
  ]);
/** One look after the other, 20 ms apart. */
function newWatch() {
  const watch = new StreamWatch();
  let nowMs = 1_000;
  return {
    fault: (...infos: [ReadonlyMap<string, string>, ReadonlyMap<string, string>]) => {
      nowMs += 20;
      return watch.fault(...infos, nowMs);
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}
const replica = (read: number, more: Record<string, string> = {}) =>
  new Map(
    Object.entries({
      role: 'slave',
      master_link_status: 'up',
      master_sync_in_progress: '0',
      slave_repl_offset: String(read),
      ...more,
    }),
  );

describe('the stream of a replica', () => {
  it('is fine at the first look when it has all that was written and has said so', () => {
    expect(newWatch().fault(master(500, line(500)), replica(500))).toBeUndefined();
    // What came between the two questions.
    expect(newWatch().fault(master(500, line(480)), replica(510))).toBeUndefined();
  });

  it('has not begun before the first acknowledgement, though both call the link up', () => {
    const watch = newWatch();
    for (let look = 0; look < 3; look++) {
      expect(watch.fault(master(500, line(0)), replica(500))).toContain('not acknowledged');
    }
    expect(watch.fault(master(500, line(400), line(0)), replica(500))).toContain('not acknowledged');
    expect(watch.fault(master(500, line(500)), replica(500))).toBeUndefined();
  });

  it('is not kept waiting for ever by what reads along and never acknowledges', () => {
    const watch = newWatch();
    expect(watch.fault(master(500, line(500), line(0)), replica(500))).toContain('not acknowledged');
    watch.pass(2_900);
    expect(watch.fault(master(500, line(500), line(0)), replica(500))).toContain('not acknowledged');
    watch.pass(100);
    expect(watch.fault(master(500, line(500), line(0)), replica(500))).toBeUndefined();
  });

  it('is not kept waiting by a replica that is still being sent the data set', () => {
    expect(newWatch().fault(master(500, line(500), line(0, 'send_bulk')), replica(500))).toBeUndefined();
  });

  it('is fine a little behind only while it goes on', () => {
    const watch = newWatch();
    expect(watch.fault(master(500, line(400)), replica(490))).toContain('10 bytes behind');
    expect(watch.fault(master(600, line(400)), replica(590))).toBeUndefined();
    expect(watch.fault(master(700, line(400)), replica(590))).toContain('does not reach it');
    expect(watch.fault(master(700, line(400)), replica(700))).toBeUndefined();
  });

  it.each([
    ['its link to the master is down', replica(500, { master_link_status: 'down' })],
    ['it receives the whole data set', replica(500, { master_sync_in_progress: '1' })],
    [`${LAG_MAX_BYTES + 1} bytes behind`, replica(500)],
  ])('says that %s', (words, info) => {
    const written = words.includes('behind') ? 500 + LAG_MAX_BYTES + 1 : 500;
    expect(newWatch().fault(master(written, line(500)), info)).toContain(words);
  });
});
