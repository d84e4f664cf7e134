import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readClusterSlots } from '../../../../../src/proxy/engine/cluster/slots-reply.js';
import { type Reply, ReplyError } from '../../../../../src/proxy/engine/resp/decode.js';

describe('reading CLUSTER SLOTS', () => {
  it('reads ranges, masters, replicas and metadata', () => {
    const reply: Reply = [
      [0, 5460, ['10.0.0.1', 7000, 'a', ['hostname', 'h']], ['10.0.0.2', 7001, 'b', []]],
      [5461, 16383, ['10.0.0.3', 7002, 'c']],
    ];
    expect(readClusterSlots(reply, '10.0.0.9')).toEqual([
      {
        start: 0,
        end: 5460,
        master: { id: 'a', host: '10.0.0.1', port: 7000 },
        replicas: [{ id: 'b', host: '10.0.0.2', port: 7001 }],
      },
      { start: 5461, end: 16383, master: { id: 'c', host: '10.0.0.3', port: 7002 }, replicas: [] },
    ]);
  });

  it.each([null, '', '?'])('takes the host that answered where a node says %j', (endpoint) => {
    const [range] = readClusterSlots([[1, 1, [endpoint, 7000, 'a']]], '10.0.0.9');
    expect(range?.master.host).toBe('10.0.0.9');
  });

  it('gives the error of the server', () => {
    expect(() => readClusterSlots(new ReplyError('NOPERM no'), 'h')).toThrow('NOPERM no');
  });

  it.each<[string, Reply]>([
    ['a text', 'OK'],
    ['a range that is none', ['x']],
    ['a range without nodes', [[0, 1]]],
    ['a slot below 0', [[-1, 1, ['h', 1, 'a']]]],
    ['a slot above the last', [[0, 16384, ['h', 1, 'a']]]],
    ['a range the wrong way round', [[5, 4, ['h', 1, 'a']]]],
    ['a slot that is a text', [['0', 1, ['h', 1, 'a']]]],
    ['a slot that is no whole number', [[0.5, 1, ['h', 1, 'a']]]],
    ['a node that is none', [[0, 1, 'h:1']]],
    ['a port of 0', [[0, 1, ['h', 0, 'a']]]],
    ['a port too large', [[0, 1, ['h', 65536, 'a']]]],
    ['a replica without a port', [[0, 1, ['h', 1, 'a'], ['h']]]],
  ])('refuses %s', (_what, reply) => {
    expect(() => readClusterSlots(reply, 'h')).toThrow('CLUSTER SLOTS');
  });

  it('gives no slot and no port out of range, whatever the server says', () => {
    const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
      reply: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom<Reply[]>(
          '',
          '?',
          'host',
          null,
          0,
          1,
          7000,
          16383,
          16384,
          65535,
          65536,
          -1,
          0.5,
          Number.NaN,
          Number.POSITIVE_INFINITY,
        ),
        fc.array(tie('reply'), { maxLength: 5 }),
        fc.tuple(fc.integer({ min: -2, max: 16390 }), fc.integer({ min: -2, max: 16390 }), tie('reply'), tie('reply')),
      ),
    }));
    fc.assert(
      fc.property(reply, (hostile) => {
        let ranges: ReturnType<typeof readClusterSlots>;
        try {
          ranges = readClusterSlots(hostile, 'h');
        } catch (error) {
          expect((error as Error).message).toContain('CLUSTER SLOTS');
          return;
        }
        for (const { start, end, master, replicas } of ranges) {
          expect(start >= 0 && start <= end && end < 16384).toBe(true);
          for (const { host, port } of [master, ...replicas]) {
            expect(host).not.toBe('');
            expect(Number.isInteger(port) && port > 0 && port < 65536).toBe(true);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});
