/** The checkers: each finds its faults, and only those; a history in which all is well has no findings. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Acknowledged, REMEMBERED_MAX } from '../../../src/drills/check/acknowledged.js';
import { Channel } from '../../../src/drills/check/channel.js';
import { Counter } from '../../../src/drills/check/counter.js';
import { EXAMPLES_MAX, Findings, LOSS_TIMES_MAX } from '../../../src/drills/check/findings.js';
import { Log } from '../../../src/drills/check/log.js';
import { Pair } from '../../../src/drills/check/pair.js';
import { Queue } from '../../../src/drills/check/queue.js';
import { Register } from '../../../src/drills/check/register.js';

let findings: Findings;
beforeEach(() => {
  findings = new Findings();
});

/** What may become of a command: done and answered, refused, done without an answer, lost without an answer. */
const fates = fc.array(fc.constantFrom('done', 'refused', 'unanswered', 'lost'), { maxLength: 40 });

describe('a register', () => {
  const written = (count: number) => {
    const register = new Register('k', findings);
    const values = Array.from({ length: count }, () => {
      const value = register.next();
      register.written('OK');
      return value;
    });
    return { register, values };
  };

  it('has nothing against a server that does what it says', () => {
    fc.assert(
      fc.property(fates, (history) => {
        const found = new Findings();
        const register = new Register('k', found);
        let stored: string | null = null;
        for (const fate of history) {
          const value = register.next();
          if (fate === 'done' || fate === 'unanswered') stored = value;
          if (fate === 'done') register.written('OK');
          if (fate === 'unanswered' || fate === 'lost') {
            register.unknown();
            break;
          }
          expect(register.read(stored)).toBe(false);
        }
        expect(register.read(stored)).toBe(false);
        register.settle();
        expect(found.counts).toEqual({});
      }),
    );
  });

  it('tells a stale read from a lost write', () => {
    const { register, values } = written(3);
    expect(register.read(values[0])).toBe(true);
    expect(register.read(values[2])).toBe(false);
    expect(findings.counts).toEqual({ 'stale-read': 1 });
    expect(register.read(values[0])).toBe(true);
    register.settle();
    expect(findings.counts).toEqual({ 'stale-read': 1, 'lost-write': 2 });
    expect(register.read(values[0])).toBe(false);
    expect(register.read(null)).toBe(true);
    register.settle();
    expect(findings.of('lost-write')).toBe(3);
  });

  it('knows what is not its own', () => {
    const { register } = written(1);
    for (const reply of ['other=1', 'k=x', 'k=9', 7, ['k=1'], 'OK', 'k']) register.read(reply);
    expect(findings.counts).toEqual({ 'foreign-reply': 7 });
    register.next();
    register.written('QUEUED');
    expect(findings.of('foreign-reply')).toBe(8);
  });

  it('takes a write for done that was refused', () => {
    const { register } = written(1);
    const refused = register.next();
    register.read(refused);
    expect(findings.counts).toEqual({ doubled: 1 });
  });
});

describe('a counter', () => {
  it('has nothing against a server that does what it says', () => {
    fc.assert(
      fc.property(fates, (history) => {
        const found = new Findings();
        const counter = new Counter('k', found);
        let stored = 0;
        for (const fate of history) {
          if (fate === 'done' || fate === 'unanswered') stored++;
          if (fate === 'done') counter.raised(stored);
          if (fate === 'unanswered' || fate === 'lost') {
            counter.unknown();
            break;
          }
        }
        counter.read(stored === 0 ? null : String(stored));
        expect(found.counts).toEqual({});
      }),
    );
  });

  it('counts what was done twice, and what is lost', () => {
    const counter = new Counter('k', findings);
    counter.raised(1);
    counter.raised(3);
    expect(findings.counts).toEqual({ doubled: 1 });
    counter.raised(2);
    expect(findings.counts).toEqual({ doubled: 1, 'lost-write': 2 });
    counter.read('1');
    expect(findings.of('lost-write')).toBe(3);
    counter.read('5');
    expect(findings.of('doubled')).toBe(5);
    for (const reply of ['x', ['1']]) counter.read(reply);
    counter.raised('OK');
    expect(findings.of('foreign-reply')).toBe(3);
  });
});

describe('a log', () => {
  it('finds every token that is missing, twice or in another place', () => {
    const tokens: string[] = [];
    const log = new Log('k', findings);
    for (let i = 1; i <= 5; i++) {
      tokens.push(log.next());
      log.appended(i * 9);
    }
    log.read(tokens.join(''));
    expect(findings.counts).toEqual({});
    const [a, b, c, d, e] = tokens as [string, string, string, string, string];
    log.read([a, b, b, c, d, e].join(''));
    expect(findings.counts).toEqual({ doubled: 1 });
    log.read([a, c, b, d, e].join(''));
    expect(findings.counts).toEqual({ doubled: 1, 'out-of-order': 1 });
    log.read([a, b, d, e].join(''));
    expect(findings.of('lost-write')).toBe(1);
    // Lost once, told once.
    log.read([a, b, d, e].join(''));
    expect(findings.of('lost-write')).toBe(1);
    log.read([a, b, d, e, '00000009;'].join(''));
    log.read('nonsense');
    log.appended('OK');
    expect(findings.of('foreign-reply')).toBe(3);
  });

  it('may have a token that was not answered', () => {
    for (const there of [true, false]) {
      const log = new Log('k', findings);
      const first = log.next();
      log.appended(9);
      const second = log.next();
      log.unknown();
      log.read(there ? first + second : first);
    }
    expect(findings.counts).toEqual({});
  });
});

describe('a pair', () => {
  it('is torn when its keys differ', () => {
    const pair = new Pair('k', findings);
    pair.raised([1, 1]);
    pair.read(['1', '1']);
    expect(findings.counts).toEqual({});
    pair.raised([2, 3]);
    pair.read(['2', '1']);
    expect(findings.counts).toEqual({ torn: 2 });
    for (const reply of [null, 'QUEUED', [1], ['-ERR', 1]]) pair.raised(reply);
    expect(findings.of('foreign-reply')).toBe(4);
  });
});

describe('a channel', () => {
  const told = (channel: Channel, text: string) => channel.heard('c', text);

  it('has nothing against messages that come before or after the answer', () => {
    const channel = new Channel('c', findings);
    for (let i = 0; i < 10; i++) {
      const message = channel.next();
      if (i % 2 === 0) {
        told(channel, message);
        channel.published(1);
      } else {
        channel.published(1);
        told(channel, message);
      }
    }
    channel.settle();
    expect(findings.counts).toEqual({});
    expect(channel.received).toBe(10);
  });

  it('finds what is missed, twice, late or of another', () => {
    const channel = new Channel('c', findings);
    const messages = Array.from({ length: 5 }, () => {
      const message = channel.next();
      channel.published(1);
      return message;
    });
    told(channel, messages[0] as string);
    told(channel, messages[0] as string);
    expect(findings.counts).toEqual({ doubled: 1 });
    told(channel, messages[3] as string);
    told(channel, messages[2] as string);
    expect(findings.counts).toEqual({ doubled: 1, 'late-message': 1 });
    expect([findings.wrong, findings.late, findings.losses]).toEqual([1, 1, 0]);
    told(channel, messages[2] as string);
    expect(findings.counts).toEqual({ doubled: 1, 'late-message': 1, 'repeated-message': 1 });
    expect([findings.wrong, findings.late, findings.repeats, findings.losses]).toEqual([1, 1, 1, 0]);
    channel.heard('d', messages[4] as string);
    told(channel, 'd=1');
    told(channel, 'c=99');
    expect(findings.of('foreign-reply')).toBe(3);
    channel.settle();
    expect(findings.of('missed-message')).toBe(2);
    expect(channel.isComplete).toBe(true);
  });

  it('lets a message without an answer come late or never, and once', () => {
    const channel = new Channel('c', findings);
    const [never, late, early, then] = [1, 2, 3, 4].map(() => {
      const message = channel.next();
      if (message === 'c=3') told(channel, message);
      if (message === 'c=4') channel.published(1);
      else channel.unknown();
      return message;
    });
    expect(never).toBe('c=1');
    told(channel, then as string);
    told(channel, late as string);
    channel.settle();
    expect(findings.counts).toEqual({});
    told(channel, late as string);
    told(channel, early as string);
    expect(findings.counts).toEqual({ 'repeated-message': 2 });
  });

  it('promises nothing to a listener who was away', () => {
    const channel = new Channel('c', findings);
    channel.next();
    channel.published(1);
    channel.interrupted();
    channel.settle();
    expect(findings.counts).toEqual({});
  });

  it('lets what was published while the listener was away come late, once', () => {
    const channel = new Channel('c', findings);
    const [first, second] = [1, 2].map(() => {
      const message = channel.next();
      channel.published(1);
      if (message === 'c=1') channel.interrupted();
      return message;
    });
    told(channel, second as string);
    told(channel, first as string);
    channel.settle();
    expect(findings.counts).toEqual({});
    told(channel, first as string);
    expect(findings.counts).toEqual({ 'repeated-message': 1 });
  });
});

describe('a queue', () => {
  const queueOf = (count: number) => {
    const queue = new Queue('q', findings);
    const elements = Array.from({ length: count }, (_, index) => {
      const element = queue.next();
      queue.pushed(index + 1);
      return element;
    });
    return { queue, elements };
  };

  it('has nothing against elements that come out once and in order', () => {
    const { queue, elements } = queueOf(3);
    for (const element of elements) queue.taken(['q', element]);
    queue.taken(null);
    // One that comes out before who put it in has the answer.
    const early = queue.next();
    queue.taken(['q', early]);
    queue.pushed(1);
    queue.settle();
    expect(findings.counts).toEqual({});
    expect(queue.popped).toBe(4);
  });

  it('finds what comes out again, in another order, or never', () => {
    const { queue, elements } = queueOf(4);
    queue.taken(['q', elements[1]]);
    queue.taken(['q', elements[1]]);
    expect(findings.counts).toEqual({ 'undone-pop': 1 });
    queue.taken(['q', elements[0]]);
    expect(findings.of('out-of-order')).toBe(1);
    for (const reply of [['q', 'other=1'], ['p', elements[2]], 'OK', ['q', 'q=99']]) queue.taken(reply);
    expect(findings.of('foreign-reply')).toBe(4);
    queue.settle();
    expect(findings.of('lost-item')).toBe(2);
  });

  it('forgives one element that was on its way when the connection broke', () => {
    const { queue, elements } = queueOf(2);
    queue.interrupted();
    queue.taken(['q', elements[1]]);
    queue.settle();
    expect(findings.counts).toEqual({});
  });
});

describe('findings', () => {
  it('are all counted, and some of them kept', () => {
    for (let i = 0; i < EXAMPLES_MAX * 2; i++)
      findings.add(i % 2 === 0 ? 'torn' : 'lost-write', 'k', 'x'.repeat(500), 2);
    expect(findings.counts).toEqual({ torn: EXAMPLES_MAX * 2, 'lost-write': EXAMPLES_MAX * 2 });
    expect(findings.wrong).toBe(EXAMPLES_MAX * 2);
    expect(findings.losses).toBe(EXAMPLES_MAX * 2);
    expect(findings.examples).toHaveLength(EXAMPLES_MAX);
    expect(findings.examples[0]?.detail).toHaveLength(200);
  });
});

describe('what was acknowledged', () => {
  it('is known by its number, with its time', () => {
    const acknowledged = new Acknowledged();
    for (const number of [1, 2, 5]) acknowledged.add(number, number * 10);
    expect(acknowledged.between(1, 5)).toEqual({ count: 3, times: [10, 20, 50] });
    expect(acknowledged.between(3, 4)).toEqual({ count: 0, times: [] });
    // A counter that has lost some counts again.
    acknowledged.add(2, 60);
    acknowledged.add(3, 70);
    expect(acknowledged.between(1, 3)).toEqual({ count: 3, times: [10, 60, 70] });
  });

  it('is only counted where it is old', () => {
    const acknowledged = new Acknowledged();
    for (let number = 1; number <= REMEMBERED_MAX + 3; number++) acknowledged.add(number, number);
    expect(acknowledged.between(2, 5)).toEqual({ count: 4, times: [4, 5] });
    expect(acknowledged.between(1, 2)).toEqual({ count: 2, times: [] });
    acknowledged.add(10 * REMEMBERED_MAX, 9);
    expect(acknowledged.between(9 * REMEMBERED_MAX, 10 * REMEMBERED_MAX)).toEqual({ count: 2, times: [9] });
  });
});

describe('losses', () => {
  let nowMs: number;
  let timed: Findings;
  beforeEach(() => {
    nowMs = 0;
    timed = new Findings(() => nowMs);
  });
  /** Does it so often, a second apart. */
  const each = (count: number, work: (number: number) => void) => {
    for (let number = 1; number <= count; number++) {
      nowMs = number * 1_000;
      work(number);
    }
  };

  it('have the time at which they had been acknowledged', () => {
    const register = new Register('k', timed);
    each(4, () => {
      register.next();
      // The second is refused: it is not lost.
      if (nowMs !== 2_000) register.written('OK');
    });
    expect(register.read('k=1')).toBe(true);
    register.settle();
    expect(timed.lossTimes.splice(0)).toEqual([3_000, 4_000]);
    expect(timed.of('lost-write')).toBe(2);

    const counter = new Counter('k', timed);
    each(4, (number) => counter.raised(number));
    nowMs = 9_000;
    counter.raised(3);
    expect(timed.lossTimes.splice(0)).toEqual([3_000, 4_000]);
    counter.read('2');
    expect(timed.lossTimes.splice(0)).toEqual([9_000]);

    const log = new Log('k', timed);
    each(2, (number) => {
      log.next();
      log.appended(number * 9);
    });
    log.read('00000001;');
    expect(timed.lossTimes.splice(0)).toEqual([2_000]);

    const queue = new Queue('q', timed);
    each(3, () => {
      queue.next();
      queue.pushed(1);
    });
    nowMs = 5_000;
    queue.taken(['q', 'q=1']);
    queue.taken(['q', 'q=1']);
    expect(timed.lossTimes.splice(0)).toEqual([5_000]);
    queue.settle();
    expect(timed.lossTimes).toEqual([2_000, 3_000]);
    expect(timed.storedLosses).toBe(timed.losses);
  });

  it('of messages are none of what was stored', () => {
    const channel = new Channel('c', timed);
    channel.next();
    channel.published(1);
    channel.settle();
    expect([timed.losses, timed.storedLosses, timed.lossTimes]).toEqual([1, 0, []]);
  });

  it('of messages have the time at which they had been answered, beside those of what was stored', () => {
    const channel = new Channel('c', timed);
    const messages: string[] = [];
    each(4, () => {
      messages.push(channel.next());
      channel.published(1);
    });
    channel.heard('c', messages[2] as string);
    nowMs = 9_000;
    channel.settle();
    expect([timed.missTimes, timed.lossTimes]).toEqual([[1_000, 2_000, 4_000], []]);
  });

  it('are counted without their times when they are many', () => {
    for (let i = 0; i < LOSS_TIMES_MAX / 1_000 + 1; i++) {
      timed.add('lost-write', 'k', '', 1_000, new Array<number>(1_000).fill(1));
    }
    expect([timed.storedLosses, timed.lossTimes.length]).toEqual([LOSS_TIMES_MAX + 1_000, LOSS_TIMES_MAX]);
  });
});
