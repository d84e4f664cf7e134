/** `forge deploy proxy` as an operator types it, on a real engine: made, left alone, changed live, refused, brought back. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { type DeployedProxy, deployedProxy, derivedImage, PROXY_PASSWORD } from '../../support/deployed-proxy.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { proxyImage } from '../../support/docker/images.js';
import { connectTls, files, ping, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { FULL } from '../../support/servers.js';

const CLUSTER = `p${process.pid}`;
const IMAGE = `forge-test/proxy:${CLUSTER}`;
const SECOND = 'second "secret"';

describe.skipIf(!hasDocker())('forge deploy proxy', () => {
  let docker: TestDocker;
  let proxy: DeployedProxy;
  let authority: Authority;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    authority = await makeAuthority();
    await proxyImage(docker, IMAGE);
    proxy = await deployedProxy(docker, CLUSTER, IMAGE);
    await proxy.write();
  });
  afterAll(async () => {
    await proxy?.remove();
    await authority?.remove();
    await docker.try(['rmi', '-f', IMAGE]);
    await docker.stop();
  });

  const action = ({ answer }: Awaited<ReturnType<DeployedProxy['deploy']>>) => answer.proxies[0]?.action;
  const started = () => proxy.inspect('{{.Id}} {{.State.StartedAt}}');
  /** Logs in, and asks. */
  async function reply(password?: string): Promise<string> {
    const client = await RawClient.connect({ port: proxy.port });
    try {
      if (password !== undefined) await client.call('AUTH', password);
      return String(await client.call('SET', 'key', 'value'));
    } catch (error) {
      return (error as Error).message;
    } finally {
      client.close();
    }
  }

  it('makes one that answers, and the second time nothing is to be done', async () => {
    const made = await proxy.deploy();
    expect(made, made.stdout).toMatchObject({ code: 0, answer: { status: 'done' } });
    expect(action(made)).toBe('create');
    expect(await reply(PROXY_PASSWORD)).toBe('OK');
    expect(await reply()).toMatch(/NOAUTH/);
    expect(await docker.run(['inspect', proxy.name])).not.toContain('secret\\"');
    const again = await proxy.deploy();
    expect(again.answer.status).toBe('unchanged');
    console.log(`a proxy in ${made.answer.elapsedMs} ms, again in ${again.answer.elapsedMs} ms`);
  });

  it('takes another password while it runs, and keeps those who are there', async () => {
    const before = await started();
    const client = await RawClient.connect({ port: proxy.port });
    await client.call('AUTH', PROXY_PASSWORD);
    await proxy.allow(SECOND);
    const changed = await proxy.deploy([], { REDIS_REQUIREPASS: SECOND });
    expect(changed, changed.stdout).toMatchObject({ code: 0 });
    expect(action(changed)).toBe('live');
    expect(await started()).toBe(before);
    expect(await reply(SECOND)).toBe('OK');
    expect(await client.call('PING')).toBe('PONG');
    client.close();
    expect((await proxy.deploy([], { REDIS_REQUIREPASS: SECOND })).answer.status).toBe('unchanged');
  });

  it('takes a configuration of the operator’s own, and changes of it while it runs', async () => {
    await proxy.configure();
    await proxy.write({ config: 'proxy.yaml' });
    expect(action(await proxy.deploy())).toBe('replace');
    expect(await reply()).toBe('OK');
    const before = await started();
    await proxy.configure({ log_level: 'debug' });
    const changed = await proxy.deploy();
    expect(changed, changed.stdout).toMatchObject({ code: 0 });
    expect(action(changed)).toBe('live');
    expect(await started()).toBe(before);
    expect(await (await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump`)).text()).toContain('"debug"');
  });

  it('refuses a bad configuration before anything is changed', async () => {
    const before = await started();
    await proxy.configure({ worker: 3 });
    const wrong = await proxy.deploy();
    expect(wrong.code, wrong.stdout).toBe(3);
    expect(wrong.stdout).toMatch(/proxy\.yaml:\d+:\d+: worker/);
    await proxy.configure({ log_level: 'debug' });
    expect((await proxy.deploy()).answer.status).toBe('unchanged');
    expect(await started()).toBe(before);
  });

  it.runIf(FULL)('has its files back when the proxy itself does not take them', async () => {
    const users = [{ name: 'app', passwords: [{ sha256: '0'.repeat(64) }], rules: '+@nonsense' }];
    await proxy.configure({ listeners: [{ address: `127.0.0.1:${proxy.port}`, cluster: 'main', users }] });
    const wrong = await proxy.deploy();
    expect(wrong.code, wrong.stdout).toBe(5);
    expect(wrong.stdout).toMatch(/nonsense/);
    await proxy.configure({ log_level: 'debug' });
    expect((await proxy.deploy()).answer.status).toBe('unchanged');
    expect(await reply()).toBe('OK');
  });

  it('speaks TLS, and takes a new certificate while it runs', async () => {
    const { certificate, key } = authority.server;
    const put = async (from: { certificate: string; key: string }) => {
      await writeFile(path.join(proxy.folder, 'server.crt'), await readFile(from.certificate));
      await writeFile(path.join(proxy.folder, 'server.key'), await readFile(from.key));
    };
    await put({ certificate, key });
    const named = files({ certificate: 'server.crt', key: 'server.key' });
    const listener = {
      address: `127.0.0.1:${proxy.port}`,
      cluster: 'main',
      tls_context: { tls_certificates: [named] },
    };
    await proxy.configure({ listeners: [listener] });
    const made = await proxy.deploy();
    expect(action(made), made.stdout).toBe('replace');
    const before = await started();
    const first = await connectTls(proxy.port, trust(authority));
    expect(await ping(first)).toContain('PONG');
    await put(await authority.issue({ name: 'second', names: ['IP:127.0.0.1'] }));
    const changed = await proxy.deploy();
    expect(action(changed), changed.stdout).toBe('live');
    expect(await started()).toBe(before);
    const second = await connectTls(proxy.port, trust(authority));
    expect(second.getPeerCertificate().subject.CN).toBe('second');
    // Who was there stays.
    expect(await ping(first)).toContain('PONG');
    for (const socket of [first, second]) socket.destroy();
  });

  it.runIf(FULL)('refuses an image whose proxy is older, before anything is changed', async () => {
    const older = `${IMAGE}-older`;
    const lines = ['USER 0:0', "RUN printf '#!/bin/sh\\necho forge-proxy/0.0.9' > /usr/local/bin/forge-proxy"];
    await derivedImage(docker, IMAGE, older, ...lines, 'USER 10001:10001');
    try {
      const [before, there] = [await started(), await proxy.containers()];
      await proxy.write({ config: 'proxy.yaml', image: older });
      const refused = await proxy.deploy();
      expect(refused.code, refused.stdout).toBe(5);
      expect(refused.stdout).toMatch(/is forge-proxy \d+\.\d+\.\d+, and that of the image \S+ is older: 0\.0\.9/);
      expect(refused.stdout).toContain('forge deploy proxy --now');
      expect(await started()).toBe(before);
      expect(await proxy.containers()).toBe(there);
    } finally {
      await proxy.write({ config: 'proxy.yaml' });
      await docker.try(['rmi', '-f', older]);
    }
  });

  it('brings the one before back when the new one does not start in its place', async () => {
    await proxy.configure();
    expect(action(await proxy.deploy())).toBe('replace');
    const before = await proxy.inspect('{{.Id}}');
    await proxy.configure({ listeners: [{ address: `192.0.2.1:${proxy.port}`, cluster: 'main' }] });
    const failed = await proxy.deploy(['--now']);
    expect(failed.code, failed.stdout).toBe(4);
    expect(failed.stdout).toMatch(/192\.0\.2\.1/);
    expect(failed.stdout).toContain('The container before it serves again, as it was.');
    expect(await proxy.inspect('{{.Id}}')).toBe(before);
    expect(await proxy.containers()).toBe(`${proxy.name} running`);
    await proxy.configure();
    expect((await proxy.deploy()).answer.status).toBe('unchanged');
    expect(await reply()).toBe('OK');
  });
});
