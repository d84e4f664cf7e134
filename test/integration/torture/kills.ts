/** Kills commands at every moment that they have, and runs them again. */
import { expect } from 'vitest';
import { listOperations, unfinishedOperations } from '../../../src/operations/journal/journal.js';
import type { Death } from '../../support/operations/killed-command.js';
import type { TestOperator } from '../../support/operations/operator.js';
import type { RedisServer } from '../../support/redis.js';
import { FULL } from '../../support/servers.js';
import { halfMove, importing, migrating, stable } from '../operations/fix/broken.js';
import { idOf, slotOf } from '../operations/move/moving.js';

/** All moments, one by one: hours of them. Without it, a selection that takes less than a minute. */
export { FULL };

/** Where a sweep begins, when it goes on with one that was ended: the number of the line. */
const FROM = Number(process.env['FORGE_TORTURE_FROM'] ?? 1);

const MOMENTS = ['before', 'torn', 'after'] as const;
const RUNS_MAX = 60;
/** Runs after which the next ones live for a line longer; each group of slots is a line. */
const LATER_AFTER = FULL ? 2 : 1;
/** Every Nth change of a node, where slots move; a prime, so that no kind of change is always left out. */
const MUTATION_STEP = 127;
const MUTATION_DELAY_MAX_MS = 23;

export type CommandLine = readonly [command: string, argv: readonly string[]];

/**
 * Runs the command until it is done. Each run dies at the Nth line of the journal that it writes: what it was doing is
 * begun, or done, and not written down.
 */
export async function storm(
  operator: TestOperator,
  member: RedisServer,
  [command, argv]: CommandLine,
): Promise<number> {
  const members = [await idOf(member)];
  for (let runs = 1; ; runs++) {
    expect(runs, `${command} does not come to an end`).toBeLessThan(RUNS_MAX);
    const moment = MOMENTS[runs % MOMENTS.length] as (typeof MOMENTS)[number];
    // Later and later: steps that begin side by side write as many lines before one of them is done.
    const line = (moment === 'after' ? 3 : 4) + Math.floor(runs / LATER_AFTER);
    if (!(await operator.killed(command, argv, { line, moment }))) return runs;
    if ((await unfinishedOperations(operator.paths.journals, members)).length === 0) return runs;
  }
}

/** Says which death comes next, when all of them take their time. */
export function progress(name: string, count: number): void {
  if (FULL) process.stderr.write(`${new Date().toISOString()} death ${count}: ${name}\n`);
}

/** A sweep has at least so many deaths, or the moments are not there any more. */
export function expectDeaths(count: number, least: number): void {
  expect(count, 'deaths').toBeGreaterThan(FROM > 1 ? 0 : least);
}

/** Every line of the journal in every way, then every so many changes of a node, and moments after them; endless. */
export function* deaths(step = MUTATION_STEP): Generator<{ death: Death; kind: 'line' | 'mutation' }, never> {
  for (let number = FROM; ; number++) {
    for (const moment of MOMENTS) yield { kind: 'line', death: { line: number, moment } };
    const mutation = 1 + (number - 1) * step;
    yield { kind: 'mutation', death: { mutation } };
    yield { kind: 'mutation', death: { mutation, afterMs: (number * 7) % MUTATION_DELAY_MAX_MS } };
  }
}

/**
 * Kills one of two commands, each of which takes back what the other does, at the next moment on the list; runs it again
 * to its end; looks. Ends when both are done before they could be killed, by either count.
 * @param step of the changes of nodes, how many to the next that is killed; what is right for moves of slots when not told
 */
export async function sweep(
  operator: TestOperator,
  [there, back]: readonly [CommandLine, CommandLine],
  look: (name: string, line: CommandLine) => Promise<void>,
  step?: number,
): Promise<number> {
  const outlived = { line: new Set<CommandLine>(), mutation: new Set<CommandLine>() };
  let turn = 0;
  for (const { death, kind } of deaths(step)) {
    if (outlived.line.size + outlived.mutation.size === 4) break;
    if (outlived[kind].size === 2) continue;
    for (const line of [there, back]) {
      const [command, argv] = line;
      const name = `${command} ${argv.join(' ')} ${JSON.stringify(death)}`;
      const since = Date.now();
      if (!outlived[kind].has(line)) {
        progress(name, turn + 1);
        if (await told(name, () => operator.killed(command, argv, death))) turn++;
        else outlived[kind].add(line);
      }
      await told(name, () => finish(operator, line, since));
      await look(name, line);
    }
  }
  return turn;
}

/**
 * Runs the command to its end. One that died when its last line was written had come to it: where it cannot be asked for
 * the same a second time (a node that was removed is no member), that is told.
 */
async function finish(operator: TestOperator, [command, argv]: CommandLine, since: number): Promise<void> {
  try {
    await operator.succeed(command, argv);
  } catch (error) {
    const operations = await listOperations(operator.paths.journals);
    if (operations.some(({ result, startedAt }) => result === 'done' && Date.parse(startedAt) >= since)) return;
    throw error;
  }
}

async function told<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw new Error(`after ${name}: ${(cause as Error).message}`, { cause });
  }
}

const EACH_KIND = 4;

/** Leaves slots open as interrupted moves of other tools do. Returns how many. Those of `avoid` are left alone. */
export async function breakSlots(from: RedisServer, to: RedisServer, avoid: readonly string[]): Promise<number> {
  const busy = new Set(avoid.map(slotOf));
  const ranges = String(await from.call('CLUSTER', 'NODES'))
    .split('\n')
    .find((line) => line.includes('myself'));
  const first = Number(/ (\d+)-\d+/.exec(ranges ?? '')?.[1] ?? 0);
  let broken = 0;
  for (let slot = first; broken < EACH_KIND * 3; slot++) {
    const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
    if (busy.has(slot) || keys.length < 2) continue;
    const half = keys.slice(0, keys.length / 2);
    const kind = broken++ % 3;
    if (kind === 2) await migrating(from, slot, to);
    else await halfMove(from, to, slot, half);
    if (kind === 1) await stable(from, slot);
    // What one side has lost its mark for, the other still waits for.
    if (kind === 2 && broken % 2 === 0) await importing(to, slot, from);
  }
  return broken;
}
