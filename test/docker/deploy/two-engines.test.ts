/** `forge deploy proxy` on two engines, each of its own: made, replaced, and what is left of one whose engine is killed. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { PartitionNetwork } from '../../integration/torture/partition-network.js';
import { type DeployedProxy, deployedProxy, derivedImage, PROXY_PASSWORD } from '../../support/deployed-proxy.js';
import { type DockerDaemon, startDaemon } from '../../support/docker/daemon.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { proxyImage } from '../../support/docker/images.js';
import { forge } from '../../support/forge.js';
import { RawClient } from '../../support/raw-client.js';

const CLUSTER = `e${process.pid}`;
const IMAGE = `forge-test/proxy:${CLUSTER}`;

describe.skipIf(!hasDocker())('forge deploy proxy on two engines', () => {
  let here: TestDocker;
  let there: DockerDaemon;
  let proxy: DeployedProxy;
  let network: PartitionNetwork;
  /** Of the two hosts. */
  let addresses: readonly string[];

  beforeAll(async () => {
    const made = PartitionNetwork.create();
    if (made === null) throw new Error('Two hosts take namespaces of the network.');
    network = made;
    const far = network.host();
    addresses = [network.here.ip, far.ip];
    const engine = dockerForTests() as Promise<TestDocker>;
    [here, there] = await Promise.all([engine, startDaemon({ namespace: far.namespace })]);
    await Promise.all([proxyImage(here, IMAGE), proxyImage(there, IMAGE)]);
    proxy = await deployedProxy(here, CLUSTER, IMAGE, network.here.ip);
    await proxy.write({ hosts: ['here', 'there'] });
    const file = path.join(proxy.folder, 'forge.yaml');
    const settings = parse(await readFile(file, 'utf8')) as { hosts: Record<string, unknown> };
    settings.hosts['there'] = { docker: there.host, address: far.ip };
    await writeFile(file, stringify(settings));
  });
  afterAll(async () => {
    await proxy?.remove();
    await here?.try(['rmi', '-f', IMAGE]);
    await there?.stop();
    await here?.stop();
    network?.remove();
  });

  const engines = () => [here, there];
  const each = (format: string) =>
    Promise.all(engines().map((docker) => docker.run(['inspect', '-f', format, proxy.name])));
  const actions = ({ answer }: Awaited<ReturnType<DeployedProxy['deploy']>>) =>
    answer.proxies.map(({ action }) => action);
  async function connect(host: string): Promise<RawClient> {
    const client = await RawClient.connect({ host, port: proxy.port });
    await client.call('AUTH', PROXY_PASSWORD);
    return client;
  }
  async function serve(hosts = addresses): Promise<void> {
    for (const host of hosts) {
      const client = await connect(host);
      expect(await client.call('SET', 'key', 'value'), host).toBe('OK');
      client.close();
    }
  }

  it('makes one on each, and the second time nothing is to be done', async () => {
    const made = await proxy.deploy();
    expect(made, made.stdout).toMatchObject({ code: 0, answer: { status: 'done' } });
    expect(actions(made)).toEqual(['create', 'create']);
    expect(await each('{{.State.Status}} {{.Config.Image}}')).toEqual([`running ${IMAGE}`, `running ${IMAGE}`]);
    await serve();
    const again = await proxy.deploy();
    expect(again.answer.status).toBe('unchanged');
  });

  it('replaces both, each on its engine alone, while a client goes on', async () => {
    const before = await each('{{.Id}}');
    const clients = await Promise.all(addresses.map(connect));
    await Promise.all(engines().map((docker) => derivedImage(docker, IMAGE, IMAGE, 'LABEL another=one')));
    const done = await proxy.deploy();
    expect(done, done.stdout).toMatchObject({ code: 0 });
    expect(actions(done)).toEqual(['replace', 'replace']);
    const after = await each('{{.Id}}');
    expect(after.some((id, index) => id === before[index])).toBe(false);
    for (const client of clients) {
      // The connection is the same: the new one has taken it over.
      expect(await client.call('GET', 'key')).toBe('value');
      client.close();
    }
    await serve();
  });

  it('starts what Docker leaves stopped after its engine was killed, and touches nothing else', async () => {
    const [first] = await each('{{.Id}} {{.State.StartedAt}}');
    await there.killAndStart();
    // Docker holds it for stopped on purpose, whatever its policy: that is what the guide says, with the way out of it.
    expect(await each('{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}')).toEqual([
      'running unless-stopped',
      'exited unless-stopped',
    ]);
    await serve(addresses.slice(0, 1));
    const env = { REDIS_REQUIREPASS: PROXY_PASSWORD, FORGE_HOME: path.join(proxy.folder, 'home') };
    const status = await forge(['deploy', 'status', '--all', '--json'], { cwd: proxy.folder, env });
    expect(status.code).toBe(9);
    const { containers } = JSON.parse(status.stdout) as { containers: { host: string; role: string; phase: string }[] };
    expect(containers.filter(({ role }) => role === 'proxy').map(({ host, phase }) => [host, phase])).toEqual([
      ['here', 'running'],
      ['there', 'exited'],
    ]);
    const started = await proxy.deploy();
    expect(started, started.stdout).toMatchObject({ code: 0 });
    expect(actions(started)).toEqual(['unchanged', 'start']);
    expect((await each('{{.Id}} {{.State.StartedAt}}'))[0]).toBe(first);
    await serve();
  });
});
