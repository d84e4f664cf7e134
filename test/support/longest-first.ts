/**
 * The order in which files of tests are begun. Vitest begins with the largest ones when it knows nothing of former runs, as in
 * CI; a small file that takes long would then be begun last, and be waited for alone.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Ends of the paths of files that take longest, the longest first. */
export const LONGEST: readonly string[] = [
  'docker/done/host-network.test.ts',
  'docker/local-cluster.test.ts',
  'docker/done/bridge-network.test.ts',
  'docker/deploy/certificates.test.ts',
  'docker/deploy/failures.test.ts',
  'docker/deploy/failures-input.test.ts',
  'docker/deploy/proxy.test.ts',
  'docker/deploy/container.test.ts',
  'integration/runtime/conformance.test.ts',
  'integration/conformance/conformance.test.ts',
  'integration/certs/command.test.ts',
  'integration/operations/move/migrate-failures.test.ts',
  'integration/backup/done.test.ts',
  'integration/packaging/pack.test.ts',
  'integration/drills/drill-commands.test.ts',
  'integration/operations/planners/scale.test.ts',
  'integration/operations/run-plan.test.ts',
  'integration/certs/store.test.ts',
  'integration/host/tune.test.ts',
  'integration/setup/setup.test.ts',
  'integration/operations/move/redis-atomic.test.ts',
  'integration/operations/lock.test.ts',
  'integration/runtime/docker-runtime.test.ts',
  'integration/proxy-control/choice-and-top.test.ts',
  'integration/proxy/limits.test.ts',
  'integration/proxy/scan.test.ts',
  'integration/drills/short.test.ts',
  'integration/torture/killed-commands.test.ts',
  'integration/operations/fix/fix.test.ts',
  'integration/conformance/clients/clients.test.ts',
  'integration/proxy/broadcast.test.ts',
  'integration/drills/checking-workload.test.ts',
  'integration/operations/move/valkey-atomic.test.ts',
  'integration/proxy/upgrade-deaths.test.ts',
  'integration/proxy/failover-details.test.ts',
  'integration/proxy/upgrade.test.ts',
  'integration/operations/move/migrate.test.ts',
  'integration/proxy-engine/access.test.ts',
  'integration/operations/move/migrate-failover.test.ts',
  'integration/backup/store/faults.test.ts',
  'integration/operations/roles/failover.test.ts',
  'integration/proxy/migration.test.ts',
  'integration/cluster/init-resume.test.ts',
  'integration/backup/commands.test.ts',
  'integration/proxy/read-policy.test.ts',
  'integration/operations-commands/rights.test.ts',
  'integration/proxy/health.test.ts',
  'integration/operations/roles/members.test.ts',
  'integration/torture/interrupted.test.ts',
  'integration/operations/planners/scale-servers.test.ts',
  'integration/torture/tls.test.ts',
  'integration/backup/restore/killed.test.ts',
  'integration/torture/partition.test.ts',
  'integration/proxy/upgrade-python.test.ts',
  'integration/torture/partition-leftovers.test.ts',
  'integration/torture/taken-over.test.ts',
  'integration/torture/full-target.test.ts',
  'integration/torture/busy-target.test.ts',
  'integration/torture/last-slot.test.ts',
  'integration/torture/clock.test.ts',
  'integration/torture/other-servers.test.ts',
];

/** The place of a file in the order; those that are not among the longest come after them. Pure. */
export function placeOf(file: string): number {
  const place = LONGEST.findIndex((end) => file.endsWith(`/test/${end}`));
  return place < 0 ? LONGEST.length : place;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    // Files of one place stay in vitest's order.
    return sorted.sort((one, other) => placeOf(one.moduleId) - placeOf(other.moduleId));
  }
}
