import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  dashboardProvisioning,
  dashboardText,
  datasourceProvisioning,
} from '../../../src/monitoring/dashboard/grafana.js';

interface Placed {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

const dashboard = JSON.parse(dashboardText()) as { panels: Placed[]; templating: { list: { name: string }[] } };

describe('the dashboard', () => {
  it('gives each panel a number and a place of its own', () => {
    const { panels } = dashboard;
    expect(panels.map(({ id }) => id)).toEqual(panels.map((_, index) => index + 1));
    const taken = new Set<string>();
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  it('explains every panel, and asks every one about the chosen cluster', () => {
    const panels = dashboard.panels.filter(({ type }) => type !== 'row');
    expect(panels.length).toBeGreaterThan(40);
    for (const { title, description, targets = [] } of panels) {
      expect(description, title).toMatch(/\.$/);
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const { expr } of targets) expect(expr).toContain('cluster="$cluster"');
    }
  });

  it('uses no variable that it does not have', () => {
    const known = new Set([...dashboard.templating.list.map(({ name }) => name), '__rate_interval']);
    const used = [...dashboardText().matchAll(/\$(\w+)/g)].map(([, name]) => name ?? '');
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });

  it('is found by Grafana with its source of data', () => {
    expect(parse(datasourceProvisioning('http://p:9090')).datasources[0]).toMatchObject({
      url: 'http://p:9090',
      type: 'prometheus',
    });
    expect(parse(dashboardProvisioning('/d')).providers[0].options).toEqual({ path: '/d' });
  });
});
