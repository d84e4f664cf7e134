import { describe, expect, it } from 'vitest';
import { ReplyError } from '../../../../src/proxy/engine/resp/decode.js';
import { HostCheck, judge, Verdict } from '../../../../src/proxy/server/health/host-check.js';
import { Outliers } from '../../../../src/proxy/server/health/outliers.js';

const SETTINGS = {
  consecutive_local_origin_failure: 5,
  interval: 10_000,
  base_ejection_time: 30_000,
  max_ejection_time: 70_000,
  max_ejection_percent: 50,
  enforcing_consecutive_local_origin_failure: 100,
  successful_active_health_check_uneject_host: true,
};

describe('the answer to a check', () => {
  it.each([
    ['PONG', undefined, true],
    [new ReplyError('LOADING Redis is loading'), undefined, false],
    ['OK', undefined, false],
    [0, 'drain', true],
    [1, 'drain', false],
    [new ReplyError('MOVED 1 127.0.0.1:1'), 'drain', true],
    [new ReplyError('ASK 1 127.0.0.1:1'), 'drain', true],
    [new ReplyError('NOPERM no'), 'drain', false],
    ['PONG', 'drain', false],
  ] as const)('%s, key %s: well is %s', (reply, key, well) => {
    expect(judge(reply, key) === null).toBe(well);
  });
});

describe('the verdict on a host', () => {
  it('needs so many failures in a row, and so many successes', () => {
    const verdict = new Verdict({ unhealthy_threshold: 3, healthy_threshold: 2 });
    expect(['reply', 'reply', null, 'reply', 'reply'].map((each) => verdict.take(each as 'reply'))).not.toContain(true);
    expect(verdict.take('timeout')).toBe(true);
    expect([verdict.unhealthy, verdict.silent]).toEqual([true, true]);
    // The first answer says that it is there; it is not well yet.
    expect(verdict.take(null)).toBe(true);
    expect([verdict.unhealthy, verdict.silent]).toEqual([true, false]);
    expect(verdict.take(null)).toBe(true);
    expect(verdict.unhealthy).toBe(false);
  });

  it('a host that answers with an error is unhealthy, not silent', () => {
    const verdict = new Verdict({ unhealthy_threshold: 1, healthy_threshold: 1 });
    verdict.take('reply');
    expect([verdict.unhealthy, verdict.silent]).toEqual([true, false]);
  });
});

describe('a check', () => {
  it('that came to nothing because this thread was busy is made again and counts for nothing', async () => {
    let clock = 0;
    let asked = 0;
    const counts = { attempt: 0, success: 0, failure: 0, network_failure: 0 };
    let done = () => {};
    const told = new Promise<void>((resolve) => {
      done = resolve;
    });
    const check: HostCheck = new HostCheck({
      settings: { timeout: 5, interval: 60_000, interval_jitter: 0, unhealthy_threshold: 1, healthy_threshold: 1 },
      counts,
      now: () => clock,
      told: () => done(),
      connect: async () => ({
        closed: false,
        close() {},
        async command() {
          if (asked++ > 0) return 'PONG';
          clock += 1000;
          throw new Error('no reply to PING within 5 ms');
        },
      }),
    });
    await told;
    check.stop();
    expect(counts).toEqual({ attempt: 2, success: 1, failure: 0, network_failure: 0 });
    expect(check.verdict.unhealthy).toBe(false);
  });
});

describe('outlier detection', () => {
  it('ejects for longer each time in a row, up to a bound, and forgets in quiet intervals', () => {
    const outliers = new Outliers(SETTINGS);
    expect(outliers.failed('a', 4, 4, true, 0)).toBe(false);
    expect(outliers.failed('a', 5, 4, true, 0)).toBe(true);
    expect(outliers.failed('a', 9, 4, true, 1)).toBe(false);
    expect(outliers.sweep(29_999)).toEqual([]);
    expect(outliers.sweep(30_000)).toEqual(['a']);
    expect(outliers.failed('a', 5, 4, true, 30_001)).toBe(true);
    expect(outliers.times('a')).toBe(2);
    expect(outliers.sweep(90_000)).toEqual([]);
    expect(outliers.sweep(90_001)).toEqual(['a']);
    // 90 s would be over the bound.
    expect(outliers.failed('a', 5, 4, true, 100_000)).toBe(true);
    expect(outliers.sweep(170_000)).toEqual(['a']);
    for (let i = 0; i < 3; i++) outliers.sweep(170_001);
    expect(outliers.times('a')).toBe(0);
  });

  it('ejects no more than its share, but one always, and only counts those that nobody can replace', () => {
    const outliers = new Outliers({ ...SETTINGS, max_ejection_percent: 10 });
    expect(outliers.failed('master', 5, 3, false, 0)).toBe(false);
    expect(outliers.failed('a', 5, 3, true, 0)).toBe(true);
    expect(outliers.failed('b', 5, 3, true, 0)).toBe(false);
    expect(outliers.counts).toEqual({ detected: 3, enforced: 1, overflow: 1 });
    expect(outliers.active).toBe(1);
    outliers.keep(new Set(['b']));
    expect(outliers.active).toBe(0);
  });

  it('enforces as often as it is told, and a successful check ends an ejection', () => {
    let drawn = 0.5;
    const outliers = new Outliers({ ...SETTINGS, enforcing_consecutive_local_origin_failure: 50 }, () => drawn);
    expect(outliers.failed('a', 5, 3, true, 0)).toBe(false);
    drawn = 0.49;
    expect(outliers.failed('a', 5, 3, true, 0)).toBe(true);
    expect(outliers.answered('a')).toBe(true);
    expect(outliers.ejected('a')).toBe(false);
    const stubborn = new Outliers({ ...SETTINGS, successful_active_health_check_uneject_host: false });
    stubborn.failed('a', 5, 3, true, 0);
    expect(stubborn.answered('a')).toBe(false);
    expect(stubborn.ejected('a')).toBe(true);
  });
});
