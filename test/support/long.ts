/**
 * Tests that take long, on several kinds of servers or of many deaths: `npm run test:long`. `npm test` has a shorter one of each
 * kind.
 */
export const LONG = [
  'test/integration/backup/restore/killed.test.ts',
  'test/integration/operations/planners/scale-servers.test.ts',
  'test/integration/proxy/upgrade-python.test.ts',
  'test/integration/torture/busy-target.test.ts',
  'test/integration/torture/clock.test.ts',
  'test/integration/torture/full-target.test.ts',
  'test/integration/torture/interrupted.test.ts',
  'test/integration/torture/killed-commands.test.ts',
  'test/integration/torture/last-slot.test.ts',
  'test/integration/torture/other-servers.test.ts',
  'test/integration/torture/partition-leftovers.test.ts',
  'test/integration/torture/partition.test.ts',
  'test/integration/torture/taken-over.test.ts',
  'test/integration/torture/tls.test.ts',
];
