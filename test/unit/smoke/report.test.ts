import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { escapeXml, renderJunit } from '../../../src/smoke/junit.js';
import { percentile } from '../../../src/smoke/percentile.js';
import { smokeFailure } from '../../../src/smoke/run.js';
import type { SmokeReport, StepResult } from '../../../src/smoke/types.js';

const step = (rest: Partial<StepResult>): StepResult => ({
  name: 'x',
  title: 'A step',
  status: 'passed',
  durationMs: 12,
  summary: 'fine',
  ...rest,
});

const failed = (kind: 'verification' | 'unreachable', message: string, next?: string) =>
  step({ status: 'failed', summary: message, error: new ForgeError(kind, message, { next }) });

const report = (...steps: StepResult[]): SmokeReport => ({
  target: { host: '::1', port: 6379 },
  passed: steps.every(({ status }) => status !== 'failed'),
  startedAt: '2026-01-02T03:04:05.678Z',
  durationMs: 1_234,
  steps,
});

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** What an XML parser makes of escaped text; throws on anything that may not stand in an attribute. */
function unescapeXml(text: string): string {
  if (/[<>"'\n\r\t]/.test(text)) throw new Error(`unescaped: ${text}`);
  return text.replace(/&(?:#(\d+)|(\w+));|&/g, (whole, code: string | undefined, name: string | undefined) => {
    if (code !== undefined) return String.fromCharCode(Number(code));
    const character = name === undefined ? undefined : ENTITIES[name];
    if (character === undefined) throw new Error(`a bare &: ${whole}`);
    return character;
  });
}

/** Throws unless tags are balanced and attributes are quoted. */
function checkWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml.replace(/<\?xml [^<>]*\?>|<(\/?)([\w-]+)((?: [\w-]+="[^"<]*")*)(\/?)>/g, (...match) => {
    const [, closing, name, , empty] = match as string[];
    if (name === undefined) return '';
    if (closing) {
      if (open.pop() !== name) throw new Error(`</${name}> closes another element`);
    } else if (!empty) open.push(name);
    return '';
  });
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`);
  if (rest.includes('<') || rest.includes('>')) throw new Error(`no tag: ${rest}`);
}

describe('the JUnit document', () => {
  it('tells failures, errors, skipped and passed steps apart', () => {
    const xml = renderJunit(
      report(
        step({}),
        failed('verification', 'GET answered "<nothing>" & more', 'Look.'),
        failed('unreachable', 'gone'),
        step({ status: 'skipped', summary: 'not run' }),
      ),
    );
    checkWellFormed(xml);
    expect(xml).toContain('tests="4" failures="1" errors="1" skipped="1" time="1.234"');
    expect(xml).toContain('timestamp="2026-01-02T03:04:05"');
    expect(xml).toContain(
      '<failure type="verification" message="GET answered &quot;&lt;nothing&gt;&quot; &amp; more">Look.</failure>',
    );
    expect(xml).toContain('<error type="unreachable" message="gone"></error>');
    expect(xml).toContain('<skipped message="not run"/>');
    expect(xml).toContain('time="0.012"><system-out>fine</system-out>');
  });

  it('stays well-formed whatever a server or a host name says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (message, title) => {
        checkWellFormed(renderJunit(report({ ...failed('verification', message), title })));
      }),
    );
  });

  it('escapes text so that a reader gets it back, but for characters that XML forbids', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const back = unescapeXml(escapeXml(text));
        expect(back.length).toBe(text.length);
        for (let i = 0; i < text.length; i++) if (back[i] !== '\ufffd') expect(back[i]).toBe(text[i]);
      }),
    );
    expect(escapeXml('\u0000\u001b\ud800é😀')).toBe('\ufffd\ufffd\ufffdé😀');
  });
});

describe('the failure of a run', () => {
  it('is none when every step passed or was skipped', () => {
    expect(smokeFailure(report(step({}), step({ status: 'skipped' })))).toBeUndefined();
  });

  it('is the first step’s, with its kind, the others counted, and the report as details', () => {
    const whole = report(step({}), failed('verification', 'wrong'), failed('unreachable', 'gone'));
    const failure = smokeFailure(whole);
    expect(failure).toMatchObject({ kind: 'verification', exitCode: 9, host: '::1:6379' });
    expect(failure?.message).toBe('Smoke test: "A step" failed (1 more failed): wrong');
    expect(failure?.details?.['report']).toBe(whole);
  });
});

describe('percentiles', () => {
  it('are the nearest rank', () => {
    const samples = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(percentile(samples, 0.5)).toBe(50);
    expect(percentile(samples, 0.99)).toBe(99);
    expect(percentile(samples, 1)).toBe(100);
    expect(percentile([7], 0.01)).toBe(7);
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });

  it('leave at least the fraction of samples at or below', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 1 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (values, fraction) => {
          const sorted = values.sort((left, right) => left - right);
          const value = percentile(sorted, fraction);
          return sorted.filter((sample) => sample <= value).length >= fraction * sorted.length;
        },
      ),
    );
  });
});
