/** A proxy that is replaced on the host's own network: the new container takes over, and clients do not notice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeployedProxy, deployedProxy, derivedImage } from '../../support/deployed-proxy.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { proxyImage } from '../../support/docker/images.js';
import { type Load, startLoad } from '../../support/proxy-load.js';
import { RawClient } from '../../support/raw-client.js';
import { poll } from '../../support/redis.js';

const CLUSTER = `h${process.pid}`;
const IMAGE = `forge-test/proxy:${CLUSTER}`;
const CLIENTS = 20;
const SEEN_MS = 60_000;

describe.skipIf(!hasDocker())('forge deploy proxy, of a proxy whose clients never pause for long', () => {
  let docker: TestDocker;
  let proxy: DeployedProxy;
  let load: Load;
  let second: string;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    await proxyImage(docker, IMAGE);
    second = await derivedImage(docker, IMAGE, `${IMAGE}-2`, 'LABEL version=2');
    proxy = await deployedProxy(docker, CLUSTER, IMAGE);
    await proxy.configure();
    await proxy.write({ config: 'proxy.yaml' });
    const made = await proxy.deploy();
    expect(made, made.stderr).toMatchObject({ code: 0 });
    load = await startLoad({ port: proxy.port, clients: CLIENTS });
    await load.progress(10);
  });
  afterAll(async () => {
    await load?.stop();
    await proxy?.remove();
    for (const tag of [IMAGE, `${IMAGE}-2`, `${IMAGE}-3`]) await docker.try(['rmi', '-f', tag]);
    await docker.stop();
  });

  const unharmed = () => expect({ ...load.result, rounds: 0, slowestMs: 0 }).toMatchObject(NO_HARM);
  const NO_HARM = { errors: new Map(), wrong: [], lost: [], closed: 0 };

  it('serves on when the new one does not start', async () => {
    const third = await derivedImage(docker, IMAGE, `${IMAGE}-3`, 'LABEL version=3');
    await proxy.write({ config: 'proxy.yaml', image: third });
    const before = await proxy.inspect('{{.Id}}');
    // Its listening address is of nobody here: the configuration is right, and does not work.
    await proxy.configure({ listeners: [{ address: `192.0.2.1:${proxy.port}`, cluster: 'main' }] });
    const failed = await proxy.deploy();
    await proxy.configure();
    expect(failed.code, failed.stdout).toBe(4);
    expect(failed.stdout).toContain('the address is none of this host');
    expect(failed.stdout).toContain('The container before it serves on.');
    expect(await proxy.inspect('{{.Id}} {{.HostConfig.RestartPolicy.Name}}')).toBe(`${before} unless-stopped`);
    expect(await proxy.containers()).toBe(`${proxy.name} running`);
    await load.progress(5);
    unharmed();
  });

  it('serves on when the new one is killed in the middle', async () => {
    await proxy.write({ config: 'proxy.yaml', image: second });
    const before = await proxy.inspect('{{.Id}}');
    const next = `${proxy.name}-next`;
    const running = proxy.start(['--json']);
    const pid = await poll('the new one runs', SEEN_MS, async () => {
      const text = await docker.run(['inspect', '-f', '{{.State.Pid}}', next]).catch(() => '');
      return Number(text) || undefined;
    });
    // It stands still wherever it is, and is killed when the old one has served meanwhile.
    process.kill(pid, 'SIGSTOP');
    await load.progress(5);
    process.kill(pid, 'SIGKILL');
    const failed = await running.ended;
    expect(failed.code, failed.stdout).toBe(4);
    expect(failed.stdout).toContain('The container before it serves on.');
    expect(await proxy.inspect('{{.Id}}')).toBe(before);
    expect(await proxy.containers()).toBe(`${proxy.name} running`);
    const fresh = await RawClient.connect({ port: proxy.port });
    expect(await fresh.call('PING')).toBe('PONG');
    fresh.close();
    await load.progress(5);
    unharmed();
  });

  it('hands over to a new image: no error, no connection lost, nothing done twice', async () => {
    const shown = await proxy.deploy(['--dry-run']);
    expect(shown.answer.proxies[0]?.reasons.at(-1)).toMatch(/^clients stay connected/);
    const lines = (shown.answer.commands ?? []).map(({ line }) => line.replace(/^docker -H \S+ /, '').split(' '));
    expect(lines.map((words) => words.slice(0, words[0] === 'volume' ? 2 : 1).join(' ')).slice(1, -1)).toEqual([
      ...['volume create', 'create', 'cp', 'start', 'update', 'stop', 'rm', 'rename', 'volume rm'],
    ]);
    const before = await proxy.inspect('{{.Id}}');
    const done = await proxy.deploy();
    expect(done, done.stdout).toMatchObject({ code: 0 });
    console.log(`handed over in ${done.answer.elapsedMs} ms`);
    expect(await proxy.inspect('{{.Id}}')).not.toBe(before);
    expect(await proxy.inspect('{{.Config.Image}} {{.HostConfig.RestartPolicy.Name}}')).toBe(
      `${second} unless-stopped`,
    );
    await load.progress(10);
    unharmed();
    const page = await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=taken_over`);
    expect(await page.text()).toContain(`downstream_cx_taken_over_total: ${CLIENTS}`);
    expect(await proxy.containers()).toBe(`${proxy.name} running`);
    expect(await proxy.volumes()).toEqual([`${proxy.name}-config-2`, `${proxy.name}-run`]);
    const again = await proxy.deploy();
    expect(again.answer.status).toBe('unchanged');
    expect(load.result.rounds).toBeGreaterThan(CLIENTS * 30);
  });

  it('is finished by the next run when forge itself was killed in the middle', async () => {
    await proxy.write({ config: 'proxy.yaml' });
    const next = `${proxy.name}-next`;
    const running = proxy.start(['--json']);
    await poll('the new one runs', SEEN_MS, async () => {
      const status = await docker.run(['inspect', '-f', '{{.State.Status}}', next]).catch(() => '');
      return status === 'running';
    });
    running.child.kill('SIGKILL');
    await running.ended;
    // It takes over by itself.
    await poll('the new one serves', SEEN_MS, async () => {
      return (await docker.run(['inspect', '-f', '{{.State.Health.Status}}', next])) === 'healthy';
    });
    await load.progress(5);
    const successor = await docker.run(['inspect', '-f', '{{.Id}}', next]);
    const finished = await proxy.deploy();
    expect(finished, finished.stdout).toMatchObject({ code: 0, answer: { status: 'unchanged' } });
    expect(await proxy.inspect('{{.Id}} {{.HostConfig.RestartPolicy.Name}}')).toBe(`${successor} unless-stopped`);
    expect(await proxy.containers()).toBe(`${proxy.name} running`);
    expect(await proxy.volumes()).toEqual([expect.stringMatching(/-config-\d+$/), `${proxy.name}-run`]);
    await load.progress(5);
    unharmed();
  });
});
