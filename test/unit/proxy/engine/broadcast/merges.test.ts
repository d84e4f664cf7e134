import { describe, expect, it } from 'vitest';
import type { Merge } from '../../../../../src/proxy/engine/broadcast/answers.js';
import {
  allSame,
  allSucceeded,
  BY_POLICY,
  concatenated,
  largest,
  oneSucceeded,
  smallest,
  sum,
} from '../../../../../src/proxy/engine/broadcast/merges.js';
import {
  latencyHistograms,
  latencyHistory,
  latestLatencies,
  memoryStats,
  newestEntries,
  texts,
} from '../../../../../src/proxy/engine/broadcast/reports.js';
import { encodeTree, parseTree } from '../../../../../src/proxy/engine/broadcast/tree.js';
import { FakeCore } from '../support/fake-core.js';

const { core } = new FakeCore();
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

/** Merges replies; each stands in the middle of a larger buffer, as received ones do. */
function merge(how: Merge, ...replies: string[]): string {
  const answers = replies.map((reply, i) => {
    const bytes = Buffer.from(`+before\r\n${reply}+behind\r\n`, 'latin1');
    return { bytes, start: 9, end: bytes.length - 9, from: `10.0.0.${i}:6379` };
  });
  return Buffer.concat(how(core, answers, 2).pieces).toString('latin1');
}

describe('replies of several servers', () => {
  it('are summed, or the smallest or the largest of them', () => {
    expect(merge(sum, ':1\r\n', ':20\r\n', ':300\r\n')).toBe(':321\r\n');
    expect(merge(smallest, ':7\r\n', ':-2\r\n', ':3\r\n')).toBe(':-2\r\n');
    expect(merge(largest, ':7\r\n', ':-2\r\n')).toBe(':7\r\n');
    expect(merge(sum, ':1\r\n', '+OK\r\n')).toBe('-upstream protocol error\r\n');
  });

  it('are combined place by place when they are arrays of integers', () => {
    const and = BY_POLICY.agg_logical_and;
    expect(merge(and, '*3\r\n:1\r\n:1\r\n:0\r\n', '*3\r\n:1\r\n:0\r\n:0\r\n')).toBe('*3\r\n:1\r\n:0\r\n:0\r\n');
    expect(merge(BY_POLICY.agg_logical_or, '*2\r\n:1\r\n:0\r\n', '*2\r\n:0\r\n:0\r\n')).toBe('*2\r\n:1\r\n:0\r\n');
    expect(merge(and, ':1\r\n', ':1\r\n')).toBe(':1\r\n');
  });

  it('are put behind one another, in the order of the shards', () => {
    expect(merge(concatenated, `*1\r\n${bulk('a')}`, '*0\r\n', `*2\r\n${bulk('b')}${bulk('c\r\n*9')}`)).toBe(
      `*3\r\n${bulk('a')}${bulk('b')}${bulk('c\r\n*9')}`,
    );
    expect(merge(concatenated, '*0\r\n', '*0\r\n')).toBe('*0\r\n');
    expect(merge(concatenated, '%1\r\n+a\r\n:1\r\n', '%1\r\n+b\r\n:2\r\n')).toBe('%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n');
    expect(merge(concatenated, '~1\r\n+a\r\n', '~1\r\n+b\r\n')).toBe('~2\r\n+a\r\n+b\r\n');
    expect(merge(concatenated, '+one\r\n', '+one\r\n')).toBe('+one\r\n');
    expect(merge(concatenated, '+one\r\n', '+two\r\n')).toBe('-all responses not same\r\n');
  });

  it('must be the same where that is asked for', () => {
    expect(merge(allSame, '+OK\r\n', '+OK\r\n')).toBe('+OK\r\n');
    expect(merge(allSame, '+OK\r\n', '+KO\r\n')).toBe('-all responses not same\r\n');
    expect(merge(allSame, '+OK\r\n', '+OK!\r\n')).toBe('-all responses not same\r\n');
    expect(merge(allSucceeded, '+started\r\n', '+scheduled\r\n')).toBe('+started\r\n');
    expect(merge(oneSucceeded, '-ERR no\r\n', '+OK\r\n')).toBe('+OK\r\n');
    expect(merge(oneSucceeded, '-ERR no\r\n', '-ERR no\r\n')).toBe('-ERR no\r\n');
  });

  it('are told in the servers’ words when all refuse for one reason, else counted', () => {
    for (const how of [sum, allSame, allSucceeded, concatenated, newestEntries(10), texts]) {
      expect(merge(how, '-NOPERM no\r\n', '-NOPERM no\r\n')).toBe('-NOPERM no\r\n');
      expect(merge(how, '-NOPERM no\r\n', '-ERR other\r\n', ':1\r\n')).toBe('-finished with 2 error(s)\r\n');
      expect(merge(how, '+OK\r\n', '-upstream failure\r\n')).toBe('-finished with 1 error(s)\r\n');
    }
  });
});

describe('what servers report', () => {
  const entry = (id: number, time: number) => `*3\r\n:${id}\r\n:${time}\r\n*1\r\n${bulk(`cmd ${id}`)}`;

  it('is the newest of all slow commands, as many as were asked for', () => {
    const one = `*2\r\n${entry(5, 100)}${entry(4, 70)}`;
    const two = `*2\r\n${entry(9, 90)}${entry(8, 70)}`;
    expect(merge(newestEntries(3), one, two)).toBe(`*3\r\n${entry(5, 100)}${entry(9, 90)}${entry(8, 70)}`);
    expect(merge(newestEntries(-1), one, two)).toContain(entry(4, 70));
    expect(merge(newestEntries(0), one, two)).toBe('*0\r\n');
    expect(merge(newestEntries(10), '*0\r\n', '*0\r\n')).toBe('*0\r\n');
  });

  it('is the newest and the worst latency of an event', () => {
    const event = (name: string, ...numbers: number[]) =>
      `*${numbers.length + 1}\r\n${bulk(name)}${numbers.map((n) => `:${n}\r\n`).join('')}`;
    expect(
      merge(
        latestLatencies,
        `*1\r\n${event('fork', 10, 5, 9)}`,
        `*2\r\n${event('fork', 20, 3, 4)}${event('aof', 1, 1, 1)}`,
      ),
    ).toBe(`*2\r\n${event('fork', 20, 3, 9)}${event('aof', 1, 1, 1)}`);
    // Valkey adds a sum and a count.
    expect(merge(latestLatencies, `*1\r\n${event('x', 1, 1, 1, 5, 2)}`, `*1\r\n${event('x', 2, 1, 1, 7, 3)}`)).toBe(
      `*1\r\n${event('x', 2, 1, 1, 12, 5)}`,
    );
    const pair = (time: number, ms: number) => `*2\r\n:${time}\r\n:${ms}\r\n`;
    expect(merge(latencyHistory, `*2\r\n${pair(5, 1)}${pair(9, 2)}`, `*2\r\n${pair(5, 8)}${pair(7, 3)}`)).toBe(
      `*3\r\n${pair(5, 8)}${pair(7, 3)}${pair(9, 2)}`,
    );
  });

  it('is calls and buckets added up, as a flat array and as a map', () => {
    const flat = (calls: number, ...buckets: number[]) =>
      `*2\r\n${bulk('get')}*4\r\n${bulk('calls')}:${calls}\r\n${bulk('histogram_usec')}*${buckets.length}\r\n${buckets.map((n) => `:${n}\r\n`).join('')}`;
    expect(merge(latencyHistograms, flat(3, 1, 2, 4, 3), flat(2, 2, 1, 4, 2), '*0\r\n')).toBe(
      flat(5, 1, 2, 2, 1, 4, 5),
    );
    const map = (calls: number) =>
      `%1\r\n${bulk('get')}%2\r\n${bulk('calls')}:${calls}\r\n${bulk('histogram_usec')}%1\r\n:1\r\n:${calls}\r\n`;
    expect(merge(latencyHistograms, map(3), map(4))).toBe(map(7));
  });

  it('is memory added up, and ratios of the sums', () => {
    const stats = (allocated: number, peak: number, keys: number) =>
      `*8\r\n${bulk('peak.allocated')}:${peak}\r\n${bulk('total.allocated')}:${allocated}\r\n${bulk('db.0')}*2\r\n${bulk('overhead')}:${keys}\r\n${bulk('peak.percentage')}${bulk('99.5')}`;
    const merged = merge(memoryStats, stats(10, 40, 1), stats(30, 40, 2));
    expect(merged).toBe(
      `*8\r\n${bulk('peak.allocated')}:80\r\n${bulk('total.allocated')}:40\r\n${bulk('db.0')}*2\r\n${bulk('overhead')}:3\r\n${bulk('peak.percentage')}${bulk('50')}`,
    );
  });

  it('is texts below the servers that say them, verbatim in RESP3', () => {
    expect(merge(texts, bulk('fine'), bulk('so so\n'))).toBe(bulk('# 10.0.0.0:6379\nfine\n\n# 10.0.0.1:6379\nso so\n'));
    expect(merge(texts, '=8\r\ntxt:fine\r\n')).toBe('=25\r\ntxt:# 10.0.0.0:6379\nfine\n\r\n');
  });
});

describe('a reply as a tree', () => {
  it('comes out as it went in', () => {
    const replies = [
      '+OK\r\n',
      ':-5\r\n',
      '$-1\r\n',
      '*-1\r\n',
      '_\r\n',
      '#t\r\n',
      ',1.5\r\n',
      '(123456789012345678901234567890\r\n',
      bulk('\r\n\0\xff'),
      '=7\r\ntxt:abc\r\n',
      '*3\r\n:1\r\n*0\r\n%1\r\n+a\r\n~1\r\n+b\r\n',
    ];
    for (const reply of replies) {
      const bytes = Buffer.from(reply, 'latin1');
      const tree = parseTree(bytes, 0, bytes.length);
      expect(tree, reply).not.toBeNull();
      expect(Buffer.from(encodeTree(tree!, core.runtime.allocate)).toString('latin1')).toBe(reply);
    }
  });

  it('is none when the bytes are not one whole reply', () => {
    for (const text of [
      '',
      '+OK',
      ':1\r\n:2\r\n',
      '$5\r\nabc\r\n',
      '*2\r\n:1\r\n',
      '?x\r\n',
      '*x\r\n',
      `${'*1\r\n'.repeat(40)}:1\r\n`,
    ]) {
      expect(parseTree(Buffer.from(text), 0, text.length), text).toBeNull();
    }
  });
});
