import { describe, expect, it } from 'vitest';
import { parseLinks } from '../../../src/doctor/bus-links.js';
import { judgeCertificate } from '../../../src/doctor/certificate.js';
import { isNodeEnough } from '../../../src/doctor/checks/programs.js';
import { bestLook, type ClockLook, clockLook, judgeClocks } from '../../../src/doctor/clocks.js';
import { type DoctorContext, knownNodes } from '../../../src/doctor/context.js';
import { DOCTOR_CHECKS, fromError } from '../../../src/doctor/finding.js';
import { ForgeError } from '../../../src/errors.js';
import { createColors } from '../../../src/ui/colors.js';
import { diagnosisLines } from '../../../src/ui/doctor.js';
import { hostLines, hostVerdictLine } from '../../../src/ui/host-check.js';
import { readText } from '../../support/repository.js';

const DAY_MS = 24 * 3_600_000;
const plain = createColors(false);

describe('clocks of nodes', () => {
  const look = (address: string, offsetMs: number, errorMs = 1): ClockLook => ({ address, offsetMs, errorMs });
  const told = (...looks: ClockLook[]) => judgeClocks(looks).map(({ verdict, text }) => `${verdict} ${text}`);

  it('are compared at the middle of the way there and back', () => {
    expect(clockLook('a', 1_050, 1_000, 1_100)).toEqual({ address: 'a', offsetMs: 0, errorMs: 50 });
    expect(clockLook('a', 900, 1_000, 1_100)).toMatchObject({ offsetMs: -150 });
  });

  it('are known by the quickest look', () => {
    expect(bestLook([look('a', 5, 9), look('a', 7, 2), look('a', 9, 4)])).toMatchObject({ offsetMs: 7 });
    expect(bestLook([])).toBeUndefined();
  });

  it.each<[string, ClockLook[], string[]]>([
    ['nobody', [], []],
    ['one', [look('a', 3)], ['PASS its clock agrees with that of the nodes']],
    [
      'near ones',
      [look('a', 3), look('b', -40)],
      ['PASS 2 clocks within 43 ms', 'PASS its clock agrees with that of the nodes'],
    ],
    [
      'one that is ahead',
      [look('a', 0), look('b', 900), look('c', 1)],
      ['WARN the clock of b is 898 ms ahead of that of a', 'PASS its clock agrees with that of the nodes'],
    ],
    [
      'one far ahead',
      [look('a', 0), look('b', 60_000), look('c', 1)],
      ['FAIL the clock of b is 60.0 s ahead of that of a', 'PASS its clock agrees with that of the nodes'],
    ],
    [
      'this machine behind',
      [look('a', 20_000), look('b', 20_001)],
      ['PASS 2 clocks within 1 ms', 'WARN its clock is 20.0 s behind that of the nodes'],
    ],
    [
      'a difference that slow replies leave open',
      [look('a', 0, 400), look('b', 900, 400)],
      ['PASS 2 clocks within 900 ms', 'PASS its clock agrees with that of the nodes'],
    ],
  ])('are judged: %s', (_, looks, expected) => expect(told(...looks)).toEqual(expected));
});

describe('a certificate', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const judged = (days: number, refusal?: string) =>
    judgeCertificate('a', { validTo: new Date(now + days * DAY_MS).toUTCString(), refusal }, now).map(
      ({ verdict, text }) => `${verdict} ${text}`,
    );

  it.each<[number, string | undefined, RegExp[]]>([
    [100, undefined, [/^PASS .*2026-04-11/]],
    [29, undefined, [/^WARN .*ends in 29 days/]],
    [3, undefined, [/^FAIL .*ends in 3 days/]],
    [-1, 'CERT_HAS_EXPIRED', [/^FAIL .*has expired on 2025-12-31/]],
    [100, 'SELF_SIGNED_CERT_IN_CHAIN', [/^FAIL .*not trusted: SELF_SIGNED/]],
    [3, 'ERR_TLS_CERT_ALTNAME_INVALID', [/^FAIL .*3 days/, /^FAIL .*not trusted/]],
  ])('that ends in %s days is told (%s)', (days, refusal, expected) => {
    expect(judged(days, refusal)).toEqual(expected.map((each) => expect.stringMatching(each)));
  });

  it('without a readable end fails', () => {
    expect(judgeCertificate('a', { validTo: 'unknown' }, now)).toMatchObject([{ verdict: 'FAIL' }]);
  });
});

describe('CLUSTER LINKS', () => {
  it('is read whatever comes', () => {
    const reply = [
      [
        'direction',
        'to',
        'node',
        'a',
        'create-time',
        1,
        'events',
        'r',
        'send-buffer-allocated',
        4512,
        'send-buffer-used',
        12,
      ],
      ['direction', 'from', 'node', 'b'],
      ['direction'],
      'nonsense',
    ];
    expect(parseLinks(reply)).toEqual([
      { node: 'a', direction: 'to', waitingBytes: 12 },
      { node: 'b', direction: 'from', waitingBytes: 0 },
    ]);
    expect(parseLinks(null)).toEqual([]);
  });
});

describe('Node.js', () => {
  it.each([
    ['v20.19.0', true],
    ['v20.18.9', false],
    ['v18.20.0', false],
    ['v24.1.0', true],
  ])('%s is enough: %s', (version, expected) => expect(isNodeEnough(version)).toBe(expected));
});

describe('nodes', () => {
  it('are those that were named, when the cluster cannot be read', async () => {
    const context = {
      named: [{ host: 'a', port: 6379 }],
      snapshot: Promise.reject(new Error('down')),
    } as unknown as DoctorContext;
    expect(await knownNodes(context)).toEqual([{ host: 'a', port: 6379, busPort: 16_379 }]);
  });
});

describe('findings', () => {
  it('are made of failures, and not of faults of the program', () => {
    const error = new ForgeError('unreachable', 'gone', { next: ['Look.', 'Wait.'] });
    expect(fromError('nodes', 'a', error)).toEqual({
      check: 'nodes',
      about: 'a',
      verdict: 'FAIL',
      text: 'gone',
      next: 'Look. Wait.',
    });
    expect(() => fromError('nodes', 'a', new TypeError('oops'))).toThrow('oops');
  });

  it('are a table, with what to do below', () => {
    const findings = [
      { check: 'nodes', about: 'a:1', verdict: 'PASS', text: 'Redis 8.0.2' },
      { check: 'bus', about: 'a:2', verdict: 'FAIL', text: 'closed\u001b[31m\nnext', next: 'Open it.' },
    ] as const;
    expect(diagnosisLines(findings, plain, { passing: true })).toEqual([
      'PASS  nodes  a:1  Redis 8.0.2',
      'FAIL  bus    a:2  closed\\u001b[31m',
      '                  next',
      '                  → Open it.',
    ]);
    expect(diagnosisLines(findings, plain, { passing: false })).toHaveLength(3);
    expect(hostVerdictLine(findings, plain)).toBe('FAIL: of 2 checks 1 fails');
    expect(hostVerdictLine([{ verdict: 'UNKNOWN' }], plain)).toBe('PASS: of 1 checks none fails, 1 unknown');
  });

  it('of a host tell what is wanted and why', () => {
    const finding = {
      check: 'swap',
      about: 'no swap',
      verdict: 'WARN',
      value: '60',
      wanted: '10',
      why: 'It waits.',
      reasons: [{ verdict: 'WARN', text: 'it is 60' }],
      next: 'Do it.',
    } as const;
    expect(hostLines([finding], plain, { passing: true })).toEqual([
      'WARN  swap  it is 60',
      '            Wanted: 10.',
      '            It waits.',
      '            → Do it.',
    ]);
  });
});

describe('docs/doctor.md', () => {
  it('has every check in its table, in this order', () => {
    const names = [...readText('docs/doctor.md').matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name);
    expect(names).toEqual([...DOCTOR_CHECKS]);
  });
});
