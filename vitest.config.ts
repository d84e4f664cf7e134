import { defineConfig } from 'vitest/config';
import { LONG } from './test/support/long.js';
import { LongestFirst } from './test/support/longest-first.js';

const inCi = Boolean(process.env.CI);

export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    teardownTimeout: 30_000,
    reporters: inCi
      ? ['default', ['json', { outputFile: process.env.FORGE_TEST_REPORT || '.cache/vitest.json' }]]
      : ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
          // What they import is read once a worker: half of their processor time was spent on that.
          isolate: false,
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: LONG,
          // The smallest machine has two cores, and half of the time these wait for real servers.
          maxWorkers: 5,
          sequence: { groupOrder: 1 },
          isolate: false,
          testTimeout: 90_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: LONG,
          maxWorkers: 4,
          sequence: { groupOrder: 2 },
          isolate: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'drills',
          include: ['test/drills/**/*.test.ts'],
          // Each measures how long clients wait: nothing else may be at work.
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
          globalSetup: ['test/drills/setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'docker',
          include: ['test/docker/**/*.test.ts'],
          maxWorkers: 4,
          sequence: { groupOrder: 4 },
          globalSetup: ['test/docker/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
