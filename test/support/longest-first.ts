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
  'integration/proxy-engine/access.test.ts',
  'integration/torture/killed-commands.test.ts',
  'integration/certs/command.test.ts',
  'integration/host/tune.test.ts',
  'integration/runtime/docker-runtime.test.ts',
  'integration/operations/lock.test.ts',
  'integration/proxy/scan.test.ts',
  'integration/proxy-control/choice-and-top.test.ts',
  'integration/operations/move/migrate.test.ts',
  'integration/operations/run-plan.test.ts',
  'integration/operations/fix/fix.test.ts',
  'integration/drills/checking-workload.test.ts',
  'integration/backup/restore/whole.test.ts',
  'integration/certs/store.test.ts',
  'integration/operations/move/migrate-failures.test.ts',
  'integration/drills/short.test.ts',
  'integration/operations/planners/scale-servers.test.ts',
  'integration/torture/interrupted.test.ts',
  'integration/backup/done.test.ts',
  'integration/redis-config/settings.test.ts',
  'integration/proxy/upgrade.test.ts',
  'integration/proxy/limits.test.ts',
  'integration/drills/load.test.ts',
  'integration/operations/move/redis-atomic.test.ts',
  'integration/proxy-tls/scale.test.ts',
  'integration/conformance/clients/clients.test.ts',
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
