/** The alerts, judged by promtool: each is raised by what it is about, and by nothing less. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { alertsOf } from '../../../src/monitoring/alerts/index.js';
import { monitoringFiles } from '../../../src/monitoring/files.js';
import { watched } from '../../support/monitoring.js';
import { ALERT_CASES, type AlertCase } from './alert-cases.js';

const RUN_MS = 60_000;
const LOOKED_AT_MINUTES = 90;
const alerts = alertsOf(watched());
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'forge-rules-'));
  const places = { prometheusUrl: 'http://127.0.0.1:9090', dashboards: '/dashboards' };
  for (const { path: name, content } of monitoringFiles(watched(), {}, places)) {
    writeFileSync(path.join(directory, path.basename(name)), content);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function severityOf(name: string): string {
  const alert = alerts.find((each) => each.name === name);
  if (alert === undefined) throw new Error(`there is no alert ${name}`);
  return alert.severity;
}

/** promtool's test that an alert fires with exactly these labels, or not at all. */
function unit(each: AlertCase, series: Readonly<Record<string, string>>, raised: boolean): object {
  const labels = {
    ...{ alertname: each.alert, alertstate: 'firing', cluster: 'orders', severity: severityOf(each.alert) },
    ...each.labels,
  };
  const text = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return {
    name: `${each.alert} is ${raised ? 'raised' : 'not raised'}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `ALERTS{alertname="${each.alert}",alertstate="firing"}`,
        eval_time: `${each.minutes ?? LOOKED_AT_MINUTES}m`,
        exp_samples: raised ? [{ labels: `ALERTS{${text.join(',')}}`, value: 1 }] : [],
      },
    ],
  };
}

interface RuleGroups {
  readonly groups: readonly { readonly name: string; readonly rules: readonly { readonly alert: string }[] }[];
}

/** Runs tests, each with the one rule that it is about out of the file of rules: with all of them it takes minutes. */
function promtool(tests: readonly { readonly alert: string; readonly test: object }[]): Outcome {
  const { groups } = parse(readFileSync(path.join(directory, 'orders.yml'), 'utf8')) as RuleGroups;
  const files = tests.map(({ alert, test }, index) => {
    const rules = groups.flatMap((group) => group.rules).filter((rule) => rule.alert === alert);
    writeFileSync(path.join(directory, `rule-${index}.yml`), stringify({ groups: [{ name: alert, rules }] }));
    const file = path.join(directory, `test-${index}.yml`);
    writeFileSync(file, stringify({ rule_files: [`rule-${index}.yml`], evaluation_interval: '1m', tests: [test] }));
    return file;
  });
  const run = spawnSync('promtool', ['test', 'rules', ...files], { encoding: 'utf8', timeout: RUN_MS });
  const failures = `${run.stdout}${run.stderr}`
    .split('\n')
    .filter((line) => !/^(Unit Testing:| {2}SUCCESS|$)/.test(line));
  return { status: run.status, passed: run.stdout.split('  SUCCESS').length - 1, failures };
}

interface Outcome {
  readonly status: number | null;
  readonly passed: number;
  readonly failures: readonly string[];
}

describe('the file of rules', () => {
  it('is right in the eyes of promtool', () => {
    const rules = path.join(directory, 'orders.yml');
    const checked = execFileSync('promtool', ['check', 'rules', rules], { encoding: 'utf8', timeout: RUN_MS });
    expect(checked).toContain(`${alerts.length} rules found`);
  });

  it('has a case for every alert but the watchdog', () => {
    const covered = new Set(ALERT_CASES.map(({ alert }) => alert));
    const missing = alerts.filter(({ name }) => !covered.has(name)).map(({ name }) => name);
    expect(missing).toEqual(['Watchdog']);
  });

  it('raises each alert by the figures that it is about, with the labels that it speaks of', {
    timeout: 90_000,
  }, () => {
    const tests = ALERT_CASES.map((each) => ({ alert: each.alert, test: unit(each, each.raised, true) }));
    expect(promtool(tests)).toEqual({ status: 0, passed: tests.length, failures: [] });
  });

  it('does not raise them by what is just short of it', { timeout: 90_000 }, () => {
    const tests = ALERT_CASES.map((each) => ({ alert: each.alert, test: unit(each, each.quiet, false) }));
    expect(promtool(tests)).toEqual({ status: 0, passed: tests.length, failures: [] });
  });

  it('would be found out: a case that does not hold fails', () => {
    const [first] = ALERT_CASES;
    if (first === undefined) throw new Error('there are no cases');
    const outcome = promtool([{ alert: first.alert, test: unit(first, first.quiet, true) }]);
    expect([outcome.status, outcome.passed]).toEqual([1, 0]);
  });

  it('always raises the watchdog', () => {
    const watchdog: AlertCase = { alert: 'Watchdog', raised: {}, labels: {}, quiet: {}, minutes: 1 };
    expect(promtool([{ alert: 'Watchdog', test: unit(watchdog, {}, true) }]).passed).toBe(1);
  });

  it('speaks in no alert of a label that it does not have', () => {
    const unknown = alerts.flatMap(({ name, summary, description }) => {
      const known = new Set(['cluster', ...Object.keys(ALERT_CASES.find((each) => each.alert === name)?.labels ?? {})]);
      const named = [...`${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label ?? '');
      return named.filter((label) => !known.has(label)).map((label) => `${name}: ${label}`);
    });
    expect(unknown).toEqual([]);
  });
});
