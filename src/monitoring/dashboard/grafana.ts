/** The dashboard in Grafana's words, and the files by which Grafana finds it. Pure. */
import { yamlText } from '../yaml.js';
import type { Panel, Row } from './panel.js';
import { ROWS } from './rows.js';

/** Of Grafana 10; later ones bring it up to date by themselves. */
const SCHEMA_VERSION = 38;
export const DASHBOARD_UID = 'redisforge-cluster';
const DATASOURCE_UID = 'redisforge-prometheus';
const COLUMNS = 24;
const ROW_HEIGHT = 1;
const HEIGHTS: Readonly<Record<Panel['kind'], number>> = { stat: 4, state: 4, series: 8 };
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

const GOOD_OR_BAD = [
  { type: 'value', options: { '0': { text: 'FAIL', color: 'red' }, '1': { text: 'OK', color: 'green' } } },
];

/** The dashboard as a file. One serves every cluster: it is chosen above. */
export function dashboardText(rows: readonly Row[] = ROWS): string {
  const dashboard = {
    uid: DASHBOARD_UID,
    title: 'RedisForge: cluster',
    description: 'Redis Cluster, its proxy and its hosts. Made by forge monitoring generate.',
    tags: ['redisforge', 'redis'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables() },
    panels: layOut(rows),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function variables(): object[] {
  const query = (name: string, label: string, text: string, several: boolean) => ({
    ...{ name, label, type: 'query', datasource: DATASOURCE, query: text, definition: text, refresh: 2, sort: 1 },
    ...(several ? { multi: true, includeAll: true, allValue: '.*' } : {}),
  });
  return [
    { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
    query('cluster', 'Cluster', 'label_values(redis_up, cluster)', false),
    query('instance', 'Nodes', 'label_values(redis_up{cluster="$cluster"}, instance)', true),
  ];
}

/** Panels from left to right, the next line below the highest. */
function layOut(rows: readonly Row[]): object[] {
  const placed: object[] = [];
  let top = 0;
  for (const { title, panels } of rows) {
    placed.push({
      ...{ id: placed.length + 1, type: 'row', title, collapsed: false, panels: [] },
      gridPos: { x: 0, y: top, w: COLUMNS, h: ROW_HEIGHT },
    });
    top += ROW_HEIGHT;
    let left = 0;
    let height = 0;
    for (const panel of panels) {
      if (left + panel.width > COLUMNS) {
        top += height;
        left = 0;
        height = 0;
      }
      const gridPos = { x: left, y: top, w: panel.width, h: HEIGHTS[panel.kind] };
      placed.push(grafanaPanel(panel, placed.length + 1, gridPos));
      left += panel.width;
      height = Math.max(height, gridPos.h);
    }
    top += height;
  }
  return placed;
}

function grafanaPanel(panel: Panel, id: number, gridPos: object): object {
  const { title, description, kind, unit, queries } = panel;
  return {
    ...{ id, title, description, type: kind === 'series' ? 'timeseries' : 'stat', datasource: DATASOURCE, gridPos },
    fieldConfig: {
      defaults: {
        unit,
        ...(kind === 'state' ? { mappings: GOOD_OR_BAD } : {}),
        ...(kind === 'series' ? { custom: { fillOpacity: 8, lineWidth: 1, showPoints: 'never' } } : {}),
      },
      overrides: [],
    },
    options:
      kind === 'series'
        ? {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
            tooltip: { mode: 'multi', sort: 'desc' },
          }
        : { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: kind === 'state' ? 'background' : 'value' },
    targets: queries.map(({ expression, legend }, index) => ({
      ...{ refId: String.fromCharCode('A'.charCodeAt(0) + index), datasource: DATASOURCE },
      ...{ expr: expression, legendFormat: legend === '' ? '__auto' : legend },
    })),
  };
}

/** Where Grafana finds Prometheus. @param url `http://host:port` */
export function datasourceProvisioning(url: string): string {
  return yamlText({
    apiVersion: 1,
    datasources: [
      { name: 'RedisForge', type: 'prometheus', uid: DATASOURCE_UID, access: 'proxy', url, editable: false },
    ],
  });
}

/** Where Grafana finds the dashboard. @param folder absolute, as Grafana sees it */
export function dashboardProvisioning(folder: string): string {
  return yamlText({
    apiVersion: 1,
    providers: [
      {
        ...{ name: 'redisforge', folder: 'RedisForge', type: 'file', allowUiUpdates: false },
        ...{ updateIntervalSeconds: 30, options: { path: folder } },
      },
    ],
  });
}
