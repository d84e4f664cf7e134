/** `forge cluster status --watch` of a cluster that goes away while it is looked at, and comes back. */
import { expect, it } from 'vitest';
import { type RunningForge, startForge } from '../../../support/forge.js';
import { poll, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';

const PASSWORD = 'watched secret';
const SHOWN_MS = 40_000;
const RUN_MS = 150_000;
/** A look that succeeded: the verdict of the JSON, the health of the page. Masters without replicas are warned of. */
const SEEN = /"verdict":|of \d+ checks/;

/** What it has shown since this was called. */
function shownBy({ child }: RunningForge): () => string {
  let shown = '';
  child.stdout?.on('data', (part) => {
    shown += part;
  });
  return () => shown;
}

it('says that the cluster does not answer, and since when, beside what was seen last; and goes on when it is back', {
  timeout: RUN_MS,
}, async () => {
  const cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
  const env = { REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: cluster.addresses };
  const back: RedisServer[] = [];
  const watchers = [['--json'], []].map((words) =>
    startForge(['cluster', 'status', '--watch', '1', ...words], { env, limitMs: RUN_MS }),
  );
  try {
    const shows = watchers.map(shownBy) as [() => string, () => string];
    const [json, text] = shows;
    for (const shown of shows) await poll('it is seen', SHOWN_MS, () => SEEN.test(shown()));
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    await poll('JSON tells', SHOWN_MS, () => json().includes('"error"'));
    await poll('the page tells', SHOWN_MS, () => /Since \d{4}-.*; what was seen last:\n[\s\S]*shard/i.test(text()));
    for (const { child } of watchers) expect(child.exitCode).toBeNull();
    const before = shows.map((shown) => shown().length);
    for (const { port, dir } of cluster.nodes) {
      back.push(await startRedis({ cluster: true, requirepass: PASSWORD, port, args: ['--dir', dir] }));
    }
    for (const [index, shown] of shows.entries()) {
      await poll('it is seen again', SHOWN_MS, () => SEEN.test(shown().slice(before[index])));
    }
    for (const { child } of watchers) child.kill('SIGINT');
    const [first, second] = await Promise.all(watchers.map(({ ended }) => ended));
    expect([first?.code, second?.code], `${first?.stderr}${second?.stderr}`).toEqual([0, 0]);
    const documents = (first?.stdout ?? '')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const failed = documents.filter(({ error }) => error !== undefined);
    expect(failed.length).toBeGreaterThan(0);
    for (const { at, error } of failed) {
      expect(at).toMatch(/^\d{4}-/);
      expect(error).toMatchObject({ kind: 'unreachable', exitCode: 4 });
    }
    expect(documents.at(-1)).toMatchObject({ masters: 3 });
    expect(second?.stdout).not.toContain(PASSWORD);
  } finally {
    for (const { child } of watchers) child.kill('SIGKILL');
    await Promise.all(back.map((node) => node.stop()));
    await cluster.stop();
  }
});
