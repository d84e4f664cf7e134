/** Which changes of their files programs of monitoring take while they run. Pure. */
import type { DesiredContainer } from './container.js';
import type { FileChange, FileEffect, LiveChange } from './effect.js';
import { FETCH_FILE, MONITORING_TARGETS, RELOAD_FILE } from './monitoring-container.js';

const SCRIPTS: ReadonlySet<string> = new Set([FETCH_FILE, RELOAD_FILE]);
/** Grafana looks for dashboards every half a minute; everything else of its it reads at a start. */
const GRAFANA_LIVE = /^dashboards\//;
/** The Redis exporter reads its certificates for each connection. */
const EXPORTER_LIVE = /^(?:ca|client)\.(?:crt|key)$/;

export function monitoringEffect(
  { role, probe }: Pick<DesiredContainer, 'role' | 'probe'>,
  changes: readonly FileChange[],
): FileEffect {
  // Scripts are read whenever they are run.
  const read = changes.filter(({ path }) => !SCRIPTS.has(path));
  if (read.length === 0) return { kind: 'live', changes: [] };
  if (role === 'prometheus' || role === 'alertmanager') return { kind: 'live', changes: [reload(role, probe, read)] };
  if (role === 'grafana' && read.every(({ path }) => GRAFANA_LIVE.test(path))) return { kind: 'live', changes: [] };
  if (role === 'redis-exporter' && read.every(takesWhileItRuns)) return { kind: 'live', changes: [] };
  return { kind: 'replace', reasons: read.map(({ path }) => `${path} is another, which is read at a start only`) };
}

/** One that comes or goes is another flag, and so another container. */
const takesWhileItRuns = ({ path, before, after }: FileChange) =>
  EXPORTER_LIVE.test(path) && before !== undefined && after !== undefined;

/** @param probe its last three words are where the server is: `HOST PORT PATH` */
function reload(
  role: 'prometheus' | 'alertmanager',
  probe: readonly string[],
  changes: readonly FileChange[],
): LiveChange {
  const [host = '', port = ''] = probe.slice(-3);
  return {
    to: 'program',
    words: ['sh', `${MONITORING_TARGETS[role]}/${RELOAD_FILE}`, host, port, role],
    shown: `reload: ${changes.map(({ path }) => path).join(', ')}`,
  };
}
