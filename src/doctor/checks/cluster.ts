/** What `forge cluster check` says: links between nodes, versions, slots, replication, memory, placement. */
import { examine } from '../../operations/health/health.js';
import type { DoctorContext } from '../context.js';
import { type DoctorFinding, fromError, pass } from '../finding.js';

export async function checkCluster({ snapshot }: DoctorContext): Promise<DoctorFinding[]> {
  if (snapshot === undefined) return [];
  try {
    const { findings } = examine(await snapshot);
    const told = findings.flatMap(({ check, reasons, next }) =>
      reasons.map(({ verdict, text }): DoctorFinding => ({ check: 'cluster', about: check, verdict, text, next })),
    );
    const passing = findings.filter(({ verdict }) => verdict === 'PASS').length;
    return [pass('cluster', 'cluster', `${passing} of ${findings.length} checks pass`), ...told];
  } catch (error) {
    return [fromError('cluster', 'cluster', error)];
  }
}
