/** A report as JUnit XML, which CI systems show test by test. */
import type { SmokeReport, StepResult } from './types.js';

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

// With the u flag pairs of surrogates are one character each, so only lone ones match.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that XML 1.0 forbids.
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff]/gu;

/** Text that may stand in XML 1.0: characters that it forbids become U+FFFD, the rest is escaped. */
export function escapeXml(text: string): string {
  return (
    text
      .replace(FORBIDDEN, '\ufffd')
      .replace(/[&<>"']/g, (character) => ESCAPES[character] as string)
      // In attributes a bare line end would be read as a space.
      .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}

const seconds = (ms: number) => (ms / 1_000).toFixed(3);

/** The document. A check that found something wrong is a failure; one that could not be made is an error. */
export function renderJunit(report: SmokeReport): string {
  const { target, steps } = report;
  const failures = steps.filter((step) => outcome(step) === 'failure').length;
  const errors = steps.filter((step) => outcome(step) === 'error').length;
  const skipped = steps.filter(({ status }) => status === 'skipped').length;
  const counts = `tests="${steps.length}" failures="${failures}" errors="${errors}" skipped="${skipped}" time="${seconds(report.durationMs)}"`;
  const name = escapeXml(`forge smoke-test ${target.host}:${target.port}`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="forge smoke-test" ${counts}>`,
    `  <testsuite name="${name}" timestamp="${escapeXml(report.startedAt.replace(/\.\d+Z$/, ''))}" ${counts}>`,
    ...steps.map(renderCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function outcome({ status, error }: StepResult): 'passed' | 'skipped' | 'failure' | 'error' {
  if (status !== 'failed') return status;
  return error?.kind === 'verification' ? 'failure' : 'error';
}

function renderCase(step: StepResult): string {
  const open = `    <testcase classname="forge.smoke-test" name="${escapeXml(step.title)}" time="${seconds(step.durationMs)}">`;
  return `${open}${renderOutcome(step)}</testcase>`;
}

function renderOutcome(step: StepResult): string {
  const summary = escapeXml(step.summary);
  const kind = outcome(step);
  if (kind === 'passed') return `<system-out>${summary}</system-out>`;
  if (kind === 'skipped') return `<skipped message="${summary}"/>`;
  const next = escapeXml((step.error?.next ?? []).join('\n'));
  return `<${kind} type="${step.error?.kind ?? 'unexpected'}" message="${summary}">${next}</${kind}>`;
}
