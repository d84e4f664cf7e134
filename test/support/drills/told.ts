/** What a proxy says it has told its clients: to be compared with what they say they were told. */

const PAGE_MS = 5_000;
const NAME = /^redis\.[^.]+\.command\.(?<command>.+)\.error$/;

/** Commands answered with an error since the start of the process, by command. */
export async function errorsTold(adminPort: number): Promise<Map<string, number>> {
  const address = `http://127.0.0.1:${adminPort}/stats?format=json&type=Counters&filter=${encodeURIComponent('\\.command\\.')}`;
  const response = await fetch(address, { signal: AbortSignal.timeout(PAGE_MS) });
  const { stats } = (await response.json()) as { stats: { name: string; value: number }[] };
  const told = new Map<string, number>();
  for (const { name, value } of stats) {
    const command = NAME.exec(name)?.groups?.command;
    if (command !== undefined && value > 0) told.set(command, value);
  }
  return told;
}

/** What has been told since; commands without are left out. */
export function toldSince(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Record<string, number> {
  const since = [...after].map(([command, count]) => [command, count - (before.get(command) ?? 0)] as const);
  return Object.fromEntries(since.filter(([, count]) => count > 0));
}

/** Of counts by kind or by command. */
export const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
