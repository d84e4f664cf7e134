/**
 * A cluster as careful people run it, for what they change regularly: three masters with a replica each and the proxy in front
 * of them, TLS everywhere, whoever connects shows a certificate of `forge gen-certs` and logs in. Nodes are rendered as `forge`
 * renders them.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { certificateFacts } from '../../../src/certs/facts.js';
import { waitUntilTaken } from '../../../src/certs/live.js';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { clusterEndpoint } from '../../../src/drills/link/cluster.js';
import type { Endpoint } from '../../../src/drills/link/link.js';
import { rawEndpoint } from '../../../src/drills/link/raw.js';
import { type RunningForge, startForge } from '../forge.js';
import { freePort, freePorts } from '../ports.js';
import { poll } from '../redis.js';
import type { Stand } from './matrix.js';
import { renewing } from './renewing.js';
import { endNode, giveFiles, type NodeSettings, renderNode, startWords } from './secure-node.js';

const HOST = '127.0.0.1';
const NODES = 6;
const WHOLE_MS = 60_000;
const COMMAND_MS = 120_000;
const START_MS = 10_000;
const SAID_MS = 10_000;
/** How long a client of the workload keeps a connection: all of them in one process shake hands. */
export const LIFE_MS = 3_000;
const run = promisify(execFile);

type Passwords = Record<'admin' | 'app' | 'replication' | 'endpoint', string>;

export class SecureStand implements Stand {
  readonly #home: string;
  readonly nodes: readonly number[];
  readonly #proxy: { readonly port: number; readonly admin: number };
  /** What clients give at the endpoint, and what is true of the nodes at present. */
  readonly passwords: Passwords = {
    admin: 'administering',
    app: 'serving',
    replication: 'replicating',
    endpoint: 'asking',
  };
  /** What clients show and whom they trust; it follows what is given out. */
  readonly #client: ConnectionOptions = {};
  /** The same, read once: hundreds of clients connect with it. */
  #shown = createSecureContext();
  #settings: NodeSettings = {};

  private constructor(home: string, nodes: readonly number[], proxy: { port: number; admin: number }) {
    this.#home = home;
    this.nodes = nodes;
    this.#proxy = proxy;
  }

  static async start(): Promise<SecureStand> {
    const home = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-'));
    const proxy = { port: await freePort(), admin: await freePort() };
    const stand = new SecureStand(home, await freePorts(NODES), proxy);
    try {
      await stand.certificates('--host', HOST, '--client', 'app', '--proxy-name', HOST, '--no-resolve');
      await stand.giveClients();
      for (const port of stand.nodes) {
        await giveFiles(stand.#certificates, `nodes/${HOST}`, stand.#node(port));
        await stand.#render(port);
        const [program = '', ...args] = stand.startCommand(port);
        await run(program, args, { timeout: START_MS });
        await poll(`the node ${port} answers`, START_MS, () => stand.call(port, 'PING').catch(() => undefined));
      }
      await stand.forge('init-cluster', stand.#seeds, '--replicas-per-master', '1', '--yes');
      await stand.writeSecret('app', stand.passwords.app);
      await stand.writeSecret('endpoint', stand.passwords.endpoint);
      await giveFiles(stand.#certificates, 'proxy', path.join(home, 'proxy'));
      await stand.configureProxy({});
      await stand.forge('proxy', 'start', '--config', stand.#proxyFile, '--detach', ...stand.#pidFile);
      await stand.whole();
      return stand;
    } catch (error) {
      await stand.stop();
      throw error;
    }
  }

  get endpoint(): Endpoint {
    const current = () => {
      const { port } = this.#proxy;
      return rawEndpoint({ host: HOST, port, password: this.passwords.endpoint, tls: { secureContext: this.#shown } });
    };
    return renewing(current, LIFE_MS);
  }

  async beside(): Promise<Endpoint> {
    const nodes = this.nodes.map((port) => ({ host: HOST, port }));
    return clusterEndpoint(nodes, { ...this.#admin, tls: this.#client });
  }

  get #admin() {
    return { username: 'admin', password: this.passwords.admin };
  }

  get #seeds(): string {
    return this.nodes.map((port) => `${HOST}:${port}`).join(',');
  }

  #node(port: number | string): string {
    return path.join(this.#home, 'nodes', String(port));
  }

  get #certificates(): string {
    return path.join(this.#home, 'certs');
  }

  get #proxyFile(): string {
    return path.join(this.#home, 'proxy.yaml');
  }

  get #pidFile(): string[] {
    return ['--pid-file', path.join(this.#home, 'proxy.pid')];
  }

  /** Starts the node with the redis.conf that it has then; in the background. `{port}` for a command of forge. */
  startCommand(port: number | string): string[] {
    return startWords(this.#node(port));
  }

  /** Waits until every client of the workload, but those that listen, has connected anew. */
  async renewed(): Promise<void> {
    await sleep(LIFE_MS * 2);
  }

  /** One command of the program, on this cluster. @throws Error with what it said when it fails */
  async forge(...words: string[]): Promise<string> {
    return await this.#ended(this.#begin(words), words);
  }

  #begin(words: string[]): RunningForge {
    const client = (name: string) => path.join(this.#certificates, 'clients', 'app', name);
    return startForge(words, {
      cwd: this.#home,
      env: {
        FORGE_HOME: path.join(this.#home, 'forge'),
        CLUSTER_SEED: this.#seeds,
        REDIS_USERNAME: 'admin',
        REDIS_REQUIREPASS: this.passwords.admin,
        REDIS_TLS_CA: path.join(this.#certificates, 'ca-bundle.crt'),
        REDIS_TLS_CERT: client('client.crt'),
        REDIS_TLS_KEY: client('client.key'),
      },
      limitMs: COMMAND_MS,
    });
  }

  async #ended({ ended }: RunningForge, words: readonly string[]): Promise<string> {
    const result = await ended;
    if (result.code !== 0) throw new Error(`forge ${words.join(' ')}: ${result.code} ${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  /** `forge proxy WORD`, for the proxy of this stand. */
  async proxy(word: 'reload' | 'upgrade', ...flags: string[]): Promise<void> {
    await this.forge('proxy', word, ...this.#pidFile, ...flags);
  }

  /** The process that serves. */
  async proxyPid(): Promise<number> {
    return Number(await readFile(path.join(this.#home, 'proxy.pid'), 'utf8'));
  }

  /** `forge gen-certs`, on the folder of this stand; elsewhere than where proxy and nodes are, as far as one machine can show it. */
  async certificates(...flags: string[]): Promise<void> {
    const steps = flags.includes('--switch-ca') || flags.includes('--retire-ca') ? ['--yes'] : [];
    const words = ['gen-certs', this.#certificates, ...flags, ...steps];
    const running = this.#begin(words);
    if (running.child.pid !== undefined) os.setPriority(running.child.pid, os.constants.priority.PRIORITY_LOW);
    await this.#ended(running, words);
  }

  /** Clients have what is in the folder from now on, for new connections. */
  async giveClients(): Promise<void> {
    const read = (name: string) => readFile(path.join(this.#certificates, name));
    const [ca, cert, key] = await Promise.all(
      ['ca-bundle.crt', 'clients/app/client.crt', 'clients/app/client.key'].map(read),
    );
    Object.assign(this.#client, { ca, cert, key });
    this.#shown = createSecureContext({ ca, cert, key });
  }

  /** As the page of gen-certs tells for what `--install` does not reach: its files, and all three in one command. */
  async giveNode(port: number): Promise<void> {
    const { certificate, key, authority } = await giveFiles(this.#certificates, `nodes/${HOST}`, this.#node(port));
    const words = ['tls-cert-file', certificate, 'tls-key-file', key, 'tls-ca-cert-file', authority];
    await this.call(port, 'CONFIG', 'SET', ...words);
    await this.#taken(port, certificate);
  }

  /** Its files, and a reload. */
  async giveProxy(): Promise<void> {
    const { certificate } = await giveFiles(this.#certificates, 'proxy', path.join(this.#home, 'proxy'));
    await this.proxy('reload');
    await this.#taken(this.#proxy.port, certificate);
  }

  async #taken(port: number, certificate: string): Promise<void> {
    const { fingerprint } = certificateFacts(await readFile(certificate, 'utf8'));
    await waitUntilTaken(`port ${port}`, {
      address: { host: HOST, port, client: this.#client as object },
      fingerprint,
    });
  }

  /** A file appears whole, as a secret store writes it. */
  async writeSecret(name: string, password: string): Promise<void> {
    const file = path.join(this.#home, name);
    await writeFile(`${file}.new`, `${password}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  /** Writes what the proxy reads at a reload. @param listener and cluster: settings beside those that it always has */
  async configureProxy({ listener = {}, cluster = {} }: { listener?: object; cluster?: object }): Promise<void> {
    const own = (name: string) => ({ filename: path.join(this.#home, 'proxy', name) });
    const tls_context = {
      tls_certificates: [{ certificate_chain: own('server.crt'), private_key: own('server.key') }],
      validation_context: { trusted_ca: own('ca-bundle.crt') },
    };
    const config = {
      admin: { address: `${HOST}:${this.#proxy.admin}` },
      workers: 2,
      listeners: [
        {
          address: `${HOST}:${this.#proxy.port}`,
          cluster: 'main',
          downstream_auth_passwords: [this.secret('endpoint')],
          tls_context: { ...tls_context, require_client_certificate: true },
          ...listener,
        },
      ],
      clusters: [
        {
          name: 'main',
          endpoints: this.nodes.map((port) => `${HOST}:${port}`),
          auth_username: 'app',
          auth_password: this.secret('app'),
          tls_context,
          ...cluster,
        },
      ],
    };
    await writeFile(this.#proxyFile, stringify(config), { mode: 0o600 });
  }

  /** How the proxy's configuration names a secret. */
  secret(name: string): { readonly filename: string } {
    return { filename: path.join(this.#home, name) };
  }

  /** Waits until the proxy's log has said it more than so many times. */
  async said(text: string, before = 0): Promise<void> {
    await poll(`the log says "${text}"`, SAID_MS, async () => (await this.countSaid(text)) > before);
  }

  async countSaid(text: string): Promise<number> {
    return (await readFile(path.join(this.#home, 'proxy.log'), 'utf8')).split(text).length - 1;
  }

  /** Writes redis.conf of all nodes anew; what it says holds when they are started, or told. */
  async configureNodes(settings: NodeSettings): Promise<void> {
    this.#settings = settings;
    for (const port of this.nodes) await this.#render(port);
  }

  async #render(port: number): Promise<void> {
    const { passwords } = this;
    await renderNode({ host: HOST, port, directory: this.#node(port), passwords, settings: this.#settings });
  }

  /** What the node answers to one command. */
  async call(port: number, command: string, ...args: string[]): Promise<unknown> {
    const connection = await connectNode({ host: HOST, port, ...this.#admin, tls: { ...this.#client } });
    try {
      return await connection.call(command, ...args);
    } finally {
      connection.close();
    }
  }

  async whole(): Promise<void> {
    await poll('the cluster is whole', WHOLE_MS, async () => {
      for (const port of this.nodes) {
        const info = String(await this.call(port, 'INFO', 'replication').catch(() => ''));
        if (!/role:master|master_link_status:up/.test(info)) return false;
        const state = String(await this.call(port, 'CLUSTER', 'INFO').catch(() => ''));
        if (!/cluster_state:ok/.test(state) || !/cluster_slots_ok:16384/.test(state)) return false;
      }
      return true;
    });
  }

  async stop(): Promise<void> {
    await this.forge('proxy', 'stop', ...this.#pidFile).catch(() => undefined);
    for (const port of this.nodes) await endNode(this.#node(port));
    await rm(this.#home, { recursive: true, force: true });
  }
}
