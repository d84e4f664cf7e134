/** One seed for all drills of a run: FORGE_SEED repeats a run, else a new one is taken. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { REPORTS } from '../support/drills/reports.js';

export default async function setup(): Promise<void> {
  // Test processes are started after this and inherit it.
  process.env.FORGE_SEED ??= String(Math.floor(Math.random() * 1e9));
  console.log(`FORGE_SEED=${process.env.FORGE_SEED}`);
  await rm(path.join(REPORTS, process.env.FORGE_SEED), { recursive: true, force: true });
}
