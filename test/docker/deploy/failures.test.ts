/** Deployments that are ended at any moment, and two at once: on a real engine. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DesiredContainer } from '../../../src/deploy/container.js';
import { Deployment } from '../../../src/deploy/deployment.js';
import { startFile } from '../../../src/deploy/node-files.js';
import { REDIS_PROBE } from '../../../src/deploy/redis-cli.js';
import { type NodeFile, redisContainer } from '../../../src/deploy/redis-container.js';
import { redisEffect } from '../../../src/deploy/redis-files.js';
import type { DockerCommand } from '../../../src/docker/command.js';
import type { DockerEndpoint } from '../../../src/docker/endpoint.js';
import { DockerEngine, type DockerOutput } from '../../../src/docker/engine.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { deploySettings } from '../../support/deploy-settings.js';
import { derivedImage } from '../../support/deployed-proxy.js';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { freePort } from '../../support/ports.js';

const CLUSTER = `k${process.pid}`;
const DERIVED = `forge-test/redis-other:${CLUSTER}`;
const PASSWORD = 'secret';
const VERSION = parseServerVersion('7.0');
const login = { username: 'admin', password: PASSWORD };
/** More changing commands than any deployment of one node has. */
const COMMANDS_MAX = 30;
/** FORGE_TORTURE=full ends it at every command, before and after. */
const FULL = process.env['FORGE_TORTURE'] === 'full';
/**
 * The moments of the short way: the container is there without its files; that which changes owners is there; the trial runs, or
 * both names are changed and nothing runs; the first of several settings was told.
 */
const SHORT = { made: [2], owned: [2], replaced: [5, 9], told: [4] } as const;

/** As if the process were killed before, or right after, its n-th changing command: nothing comes back, nothing is undone. */
class MortalEngine extends DockerEngine {
  static left = Number.POSITIVE_INFINITY;
  static after = false;
  static died: () => void = () => {};
  /** A look that is repeated counts once: how often is a matter of the machine. */
  static #last = '';

  override async execute(command: DockerCommand): Promise<DockerOutput> {
    if (MortalEngine.left <= 0) return await new Promise(() => {});
    const line = command.args.join(' ');
    const isRepeated = line === MortalEngine.#last && line.includes(REDIS_PROBE.join(' '));
    MortalEngine.#last = line;
    if (command.effect === 'reads' || isRepeated) return await super.execute(command);
    MortalEngine.left -= 1;
    const dies = MortalEngine.left === 0;
    if (!dies || MortalEngine.after) {
      const output = await super.execute(command);
      if (!dies) return output;
    }
    MortalEngine.died();
    return await new Promise(() => {});
  }
}

describe.skipIf(!hasDocker())('a deployment that is ended at any moment', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let image: string;
  let port: number;
  let name: string;
  let start: NodeFile;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, PASSWORD);
    // A tag of its own: other tests build the same image at the same time, and a newer one would be a difference.
    image = await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` });
    start = await startFile();
    port = await freePort();
    name = `${CLUSTER}-redis-${port}`;
  });
  const cleanUp = async () => there.cleanUp();
  afterEach(cleanUp);
  afterAll(async () => {
    await docker.try(['rmi', DERIVED]);
    await docker.stop();
  });

  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

  function desired({ extra = '', users = '', of = image } = {}): DesiredContainer {
    const settings = deploySettings({ cluster: CLUSTER, image: of, ports: [port] });
    const conf = `port ${port}\ndir /data\nappendonly yes\naclfile /etc/redisforge/users.acl\nunixsocket /data/redis.sock\nunixsocketperm 700\n${extra}`;
    const acl = `user default off\nuser admin on #${sha256(PASSWORD)} ~* &* +@all\n${users}`;
    return redisContainer(settings, settings.nodes[0] as (typeof settings.nodes)[0], [
      { path: 'redis.conf', content: conf },
      { path: 'users.acl', content: acl },
      start,
    ]);
  }

  function deployment(wanted: DesiredContainer, mortal = false): Deployment {
    return new Deployment({
      cluster: CLUSTER,
      hosts: [{ name: 'here', docker: docker.host, address: '127.0.0.1' }],
      desired: [wanted],
      login,
      effectOf: (_, changes) => redisEffect(changes, VERSION),
      ...(mortal ? { engineFor: (endpoint: DockerEndpoint) => new MortalEngine(endpoint) } : {}),
    });
  }

  /** What `forge deploy redis` does. @returns what it was about to do */
  async function deploy(wanted: DesiredContainer, mortal = false): Promise<string> {
    const one = deployment(wanted, mortal);
    await one.look();
    const leftovers = await one.leftovers();
    if (leftovers.length > 0) await one.recover(leftovers);
    const { actions, obstacles } = one.plan();
    expect(obstacles).toEqual([]);
    await one.carryOut(actions.filter(({ kind }) => kind !== 'unchanged'));
    return actions[0]?.kind ?? 'none';
  }

  /** @returns whether it was killed: it ends by itself when it has fewer commands */
  async function killed(wanted: DesiredContainer, commands: number, after: boolean): Promise<boolean> {
    const died = new Promise<boolean>((resolve) => {
      MortalEngine.left = commands;
      MortalEngine.after = after;
      MortalEngine.died = () => resolve(true);
    });
    const ended = deploy(wanted, true).then(() => false);
    return await Promise.race([died, ended]);
  }

  /** A lock of this very process would count as alive: whoever was killed is gone. */
  async function bury(): Promise<void> {
    const lock = `${name}-lock`;
    if ((await docker.run(['ps', '-aq', '--filter', `name=^${lock}$`])) === '') return;
    const holder = JSON.parse(
      await docker.run(['inspect', '-f', '{{index .Config.Labels "io.redisforge.holder"}}', lock]),
    ) as object;
    const label = JSON.stringify({ ...holder, pid: 2 ** 22 + 1 });
    const labels = [
      `io.redisforge.cluster=${CLUSTER}`,
      'io.redisforge.role=lock',
      `io.redisforge.instance=redis-${port}`,
    ];
    await docker.run(['rm', '-f', lock]);
    await docker.run([
      'create',
      ...['--name', lock, '--entrypoint', '/never', '--label', `io.redisforge.holder=${label}`],
      ...labels.flatMap((each) => ['--label', each]),
      image,
    ]);
  }

  const redis = (...words: string[]) => there.redis(name, ...words);

  async function expectOnlyIt(): Promise<void> {
    expect(await there.containers()).toEqual([`${name} running`]);
    expect(await there.volumes()).toEqual([expect.stringMatching(`^${name}-config-\\d+$`), `${name}-data`]);
  }

  /** @param short moments that are enough; all of them on the long way */
  async function sweep(
    short: readonly number[],
    before: DesiredContainer | undefined,
    wanted: DesiredContainer,
    check: () => Promise<void>,
  ) {
    const every = Array.from({ length: COMMANDS_MAX }, (_, index) => index + 1);
    let moments = 0;
    // Before a command is after the one before it, but for the answer that is lost: the short way looks at one of them.
    for (const after of FULL ? [false, true] : [true]) {
      for (const commands of FULL ? every : short) {
        if (before === undefined) await cleanUp();
        else await deploy(before);
        if (!(await killed(wanted, commands, after))) break;
        moments += 1;
        await bury();
        await deploy(wanted).catch((error: unknown) => {
          throw new Error(`killed ${after ? 'after' : 'before'} command ${commands}: ${String(error)}`);
        });
        await expectOnlyIt();
        await check();
        expect(await deploy(wanted)).toBe('unchanged');
        // Back to what it was before, once on the short way: also right after having been killed, whatever was done by then.
        if (before !== undefined && (FULL ? !after : commands === short.at(-1))) {
          await killed(before, Math.max(1, commands - 1), after);
          await bury();
          await deploy(before);
          await expectOnlyIt();
        }
      }
    }
    return moments;
  }

  it('is finished by the next when a node was being made', { timeout: 600_000 }, async () => {
    const moments = await sweep(SHORT.made, undefined, desired(), async () => {
      expect(await redis('PING')).toBe('PONG');
    });
    expect(moments).toBeGreaterThanOrEqual(FULL ? 10 : SHORT.made.length);
  });

  it('is finished by the next when a node was being made whose image does not own its data', {
    timeout: 600_000,
  }, async () => {
    const of = await derivedImage(docker, image, DERIVED, 'LABEL io.redisforge.owned=""');
    const moments = await sweep(SHORT.owned, undefined, desired({ of }), async () => {
      expect(await docker.run(['exec', name, 'stat', '-c', '%u', '/data'])).toBe('10001');
    });
    expect(moments).toBeGreaterThanOrEqual(FULL ? 15 : SHORT.owned.length);
  });

  it('is finished by the next when a node was being replaced', { timeout: 600_000 }, async () => {
    const moments = await sweep(SHORT.replaced, desired(), desired({ extra: 'io-threads 2\n' }), async () => {
      expect(await redis('CONFIG', 'GET', 'io-threads')).toBe('io-threads\n2');
    });
    expect(moments).toBeGreaterThanOrEqual(FULL ? 21 : SHORT.replaced.length);
  });

  it('is finished by the next when a node was taking settings and users while it runs', {
    timeout: 600_000,
  }, async () => {
    const wanted = desired({ extra: 'maxmemory 64mb\nmaxclients 500\n', users: 'user app on nopass +ping\n' });
    const before = desired({ extra: 'maxmemory 32mb\nmaxclients 600\n' });
    const moments = await sweep(SHORT.told, before, wanted, async () => {
      expect(await redis('CONFIG', 'GET', 'maxmemory')).toBe(`maxmemory\n${64 * 1024 * 1024}`);
      expect(await redis('CONFIG', 'GET', 'maxclients')).toBe('maxclients\n500');
      expect(await redis('ACL', 'LIST')).toContain('user app on nopass');
    });
    expect(moments).toBeGreaterThanOrEqual(FULL ? 7 : SHORT.told.length);
  });

  it('keeps a second one out, and says who is at work', async () => {
    await deploy(desired());
    const wanted = desired({ extra: 'io-threads 2\n' });
    const [one, two] = [deployment(wanted), deployment(wanted)];
    await Promise.all([one.look(), two.look()]);
    const results = await Promise.allSettled([one, two].map((each) => each.carryOut(each.plan().actions)));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [failed] = results.filter((result) => result.status === 'rejected');
    expect(failed?.reason).toMatchObject({
      kind: 'locked',
      message: expect.stringMatching(new RegExp(`process ${process.pid}|by somebody else`)),
    });
    await expectOnlyIt();
    expect(await deploy(wanted)).toBe('unchanged');
  });
});
