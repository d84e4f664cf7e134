import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateFacts } from '../../../src/certs/facts.js';
import { createCertificates, renewCertificates } from '../../../src/certs/generate.js';
import { presentedFingerprint, waitUntilTaken } from '../../../src/certs/live.js';
import { rotateAuthority } from '../../../src/certs/rotate.js';
import type { RotationStep } from '../../../src/certs/rotation.js';
import type { NodeConnection } from '../../../src/cluster/node-connection.js';
import { reloadProxy } from '../../../src/proxy/control/reload.js';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { removeScratchAfterAll, request, scratch } from './folder.js';

removeScratchAfterAll();

const LINK_MS = 20_000;
const HOSTS = ['127.0.0.1'];

let directory: string;
let cluster: RedisCluster;
let proxy: RunningProxy;
let proxyPort: number;
/** Where Redis and the proxy read their files, as on another host. */
let installed: string;

/** With what the tests connect to the nodes; it follows what is given out. */
const trusted: tls.ConnectionOptions = {};

const wanted = { hosts: HOSTS, clients: ['app'] };
const file = (name: string) => path.join(directory, name);
const node = (kind: 'crt' | 'key') => file(`nodes/127.0.0.1/server.${kind}`);
const fingerprintOf = async (name: string) => certificateFacts(await readFile(name, 'utf8')).fingerprint;

/** What a client has that trusts this bundle. */
async function client(bundle = file('ca-bundle.crt')): Promise<tls.ConnectionOptions> {
  const [ca, cert, key] = await Promise.all(
    [bundle, file('clients/app/client.crt'), file('clients/app/client.key')].map((name) => readFile(name)),
  );
  return { ca, cert, key };
}

/** Asks over TLS for a PONG; rejects with what the handshake says. */
function ask(port: number, options: tls.ConnectionOptions, words = 'PING'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ...options }, () => socket.write(`${words}\r\n`));
    socket.setTimeout(10_000, () => socket.destroy(new Error('silent')));
    socket.once('data', (bytes) => {
      resolve(bytes.toString());
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

/** Puts the files of one party where they are read, each whole. */
async function install(from: string, to: string): Promise<{ certificate: string; key: string; ca: string }> {
  const target = path.join(installed, to);
  await mkdir(target, { recursive: true });
  const files = { certificate: 'server.crt', key: 'server.key', ca: 'ca-bundle.crt' };
  for (const name of Object.values(files)) {
    await copyFile(name === 'ca-bundle.crt' ? file(name) : file(`${from}/${name}`), path.join(target, `${name}.new`));
    await rename(path.join(target, `${name}.new`), path.join(target, name));
  }
  return {
    certificate: path.join(target, files.certificate),
    key: path.join(target, files.key),
    ca: path.join(target, files.ca),
  };
}

const settings = () => request(directory, wanted);
const renew = () => renewCertificates({ ...settings(), withinDays: 0, newKeys: true });
const rotate = (step: RotationStep) => rotateAuthority({ ...settings(), step, newKeys: false });

/** As a deployment tells a node: all three in one command. */
async function tellNode(node: NodeConnection, { certificate, key, ca }: Awaited<ReturnType<typeof install>>) {
  await node.call('CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key, 'tls-ca-cert-file', ca);
}

async function takeOnNodes(): Promise<void> {
  const files = await install('nodes/127.0.0.1', 'node');
  const fingerprint = await fingerprintOf(files.certificate);
  Object.assign(trusted, await client());
  for (const server of cluster.nodes) {
    const connection = await server.connect();
    try {
      const address = { host: '127.0.0.1', port: server.port, client: await client() };
      await tellNode(connection, files);
      await waitUntilTaken(server.address, { address, fingerprint });
    } finally {
      connection.close();
    }
  }
}

async function takeOnProxy(): Promise<void> {
  const { certificate } = await install('proxy', 'proxy');
  const address = { host: '127.0.0.1', port: proxyPort };
  const admin = { host: '127.0.0.1', port: proxy.adminPort };
  await reloadProxy({ admin, dryRun: false });
  await waitUntilTaken('the proxy', { address, fingerprint: await fingerprintOf(certificate) });
}

beforeAll(async () => {
  directory = path.join(await scratch(), 'certs');
  installed = await scratch();
  await createCertificates(settings());
  const { certificate, key, ca } = await install('nodes/127.0.0.1', 'node');
  // Every client has to show a certificate; nodes to each other, too.
  cluster = await startCluster({
    masters: 3,
    replicasPerMaster: 1,
    tls: { certificate, key, ca, connect: Object.assign(trusted, await client()) },
    args: ['--tls-auth-clients', 'yes'],
  });
  const own = await install('proxy', 'proxy');
  const pair = { certificate_chain: { filename: own.certificate }, private_key: { filename: own.key } };
  proxyPort = await freePort();
  proxy = await startProxy({
    config: {
      workers: 1,
      listeners: [
        {
          cluster: 'main',
          additional_addresses: [{ address: `127.0.0.1:${proxyPort}`, tls_context: { tls_certificates: [pair] } }],
        },
      ],
      clusters: [
        {
          name: 'main',
          endpoints: cluster.nodes.map(({ address }) => address),
          tls_context: { tls_certificates: [pair], validation_context: { trusted_ca: { filename: own.ca } } },
        },
      ],
    },
  });
}, 120_000);

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

const states = async () => Promise.all(cluster.nodes.map(async (each) => String(await each.call('CLUSTER', 'INFO'))));
const sound = async () => {
  await poll('the cluster is ok', LINK_MS, async () =>
    (await states()).every((text) => text.includes('cluster_state:ok')),
  );
  const replication = await Promise.all(
    cluster.nodes.map(async (each) => String(await each.call('INFO', 'replication'))),
  );
  const links = replication.filter((text) => text.includes('role:slave'));
  expect(links).toHaveLength(3);
  expect(links.every((text) => text.includes('master_link_status:up'))).toBe(true);
};

describe('Redis and the proxy', () => {
  it('take these certificates for clients, replication, the cluster bus and between them', async () => {
    await sound();
    expect(await ask(proxyPort, { ca: await readFile(file('ca-bundle.crt')) }, 'SET k v')).toBe('+OK\r\n');
    const { port } = cluster.nodes[0] as (typeof cluster.nodes)[number];
    expect(await ask(port, await client())).toBe('+PONG\r\n');
    // Without a certificate of this CA, nobody comes in.
    await expect(ask(port, { ca: await readFile(file('ca-bundle.crt')) })).rejects.toThrow();
    await expect(ask(port, await client(), 'PING').then(() => ask(port, {}))).rejects.toThrow(/self.signed|unable/i);
  });

  it('take new ones live: new connections see them, those that stand go on', async () => {
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error('no node');
    const old: NodeConnection = await first.connect();
    const before = await presentedFingerprint({ host: '127.0.0.1', port: first.port, client: await client() });
    expect(before).toBe(await fingerprintOf(node('crt')));
    await renew();
    await takeOnNodes();
    await takeOnProxy();
    const after = await presentedFingerprint({ host: '127.0.0.1', port: first.port, client: await client() });
    expect(after).not.toBe(before);
    expect(after).toBe(await fingerprintOf(node('crt')));
    expect(await presentedFingerprint({ host: '127.0.0.1', port: proxyPort })).toBe(
      await fingerprintOf(file('proxy/server.crt')),
    );
    expect(await old.call('PING')).toBe('PONG');
    old.close();
    await sound();
  });

  it('go on with the old ones when the new ones cannot be used', async () => {
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error('no node');
    const connection = await first.connect();
    const address = { host: '127.0.0.1', port: first.port, client: await client() };
    const before = await presentedFingerprint(address);
    const certificate = path.join(installed, 'wrong.crt');
    await writeFile(certificate, await readFile(file('clients/app/client.crt')));
    const wrong = {
      certificate,
      key: path.join(installed, 'node/server.key'),
      ca: path.join(installed, 'node/ca-bundle.crt'),
    };
    await expect(tellNode(connection, wrong)).rejects.toMatchObject({ kind: 'refused' });
    connection.close();
    expect(await presentedFingerprint(address)).toBe(before);
    expect(await ask(first.port, await client())).toBe('+PONG\r\n');
  });

  it('are told of when no handshake comes about', async () => {
    const port = await freePort();
    await expect(presentedFingerprint({ host: '127.0.0.1', port })).rejects.toMatchObject({ kind: 'unreachable' });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(presentedFingerprint({ host: '127.0.0.1', port }, signal)).rejects.toThrow('enough');
  });

  it('change their CA in three steps, and nobody who has taken each is cut off at any of them', async () => {
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error('no node');
    const oldBundle = path.join(installed, 'old-bundle.crt');
    await copyFile(file('ca-bundle.crt'), oldBundle);
    /** A client with the bundle of the step before, and one with that of this step. */
    const bothCome = async (...bundles: string[]) => {
      for (const bundle of bundles) {
        const ca = await readFile(bundle);
        expect(await ask(first.port, await client(bundle)), bundle).toBe('+PONG\r\n');
        expect(await ask(proxyPort, { ca }, 'GET k'), bundle).toBe('$1\r\nv\r\n');
      }
    };
    expect(await rotate('rotate')).toMatchObject({ outcome: 'announced' });
    await takeOnNodes();
    await takeOnProxy();
    await bothCome(oldBundle, file('ca-bundle.crt'));
    const announced = path.join(installed, 'announced.crt');
    await copyFile(file('ca-bundle.crt'), announced);
    // The client has its certificate of the old CA still, while the nodes change one after the other.
    const oldClient = await client();
    expect(await rotate('switch')).toMatchObject({ outcome: 'switched' });
    await takeOnNodes();
    await takeOnProxy();
    expect(await ask(first.port, oldClient)).toBe('+PONG\r\n');
    await bothCome(announced, file('ca-bundle.crt'));
    await sound();
    expect(await rotate('retire')).toMatchObject({ outcome: 'none' });
    await takeOnNodes();
    await takeOnProxy();
    await bothCome(announced, file('ca-bundle.crt'));
    // Only now is the old one out: as a client, and for clients that know it alone.
    await expect(ask(first.port, oldClient)).rejects.toThrow();
    await expect(ask(proxyPort, { ca: await readFile(oldBundle) })).rejects.toThrow(/unable|self.signed/i);
    await sound();
  });
});
