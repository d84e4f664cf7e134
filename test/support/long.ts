/**
 * Tests that take long: on several kinds of servers, of deaths at every moment, of what fails in rare ways. `npm run test:long` has
 * them; `npm test` has the same capabilities as they work, and the failures that are met most.
 */
export const LONG = [
  'test/integration/backup/restore/failures.test.ts',
  'test/integration/backup/restore/killed.test.ts',
  'test/integration/backup/restore/versions.test.ts',
  'test/integration/backup/store/faults.test.ts',
  'test/integration/certs/store.test.ts',
  'test/integration/operations/move/migrate-failover.test.ts',
  'test/integration/operations/move/migrate-failures.test.ts',
  'test/integration/operations/planners/scale-servers.test.ts',
  'test/integration/operations/planners/undone.test.ts',
  'test/integration/proxy-tls/scale.test.ts',
  'test/integration/proxy/upgrade-deaths.test.ts',
  'test/integration/proxy/upgrade-python.test.ts',
  'test/integration/proxy/upgrade-stalls.test.ts',
  'test/integration/runtime/docker-runtime.test.ts',
  'test/integration/torture/busy-target.test.ts',
  'test/integration/torture/clock.test.ts',
  'test/integration/torture/dying-nodes.test.ts',
  'test/integration/torture/full-target.test.ts',
  'test/integration/torture/interrupted.test.ts',
  'test/integration/torture/killed-commands.test.ts',
  'test/integration/torture/last-slot.test.ts',
  'test/integration/torture/other-servers.test.ts',
  'test/integration/torture/partition-leftovers.test.ts',
  'test/integration/torture/partition.test.ts',
  'test/integration/torture/rollback.test.ts',
  'test/integration/torture/taken-over.test.ts',
  'test/integration/torture/tls.test.ts',
];
