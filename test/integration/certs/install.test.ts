/** Certificates given to parties that show them over real TLS; what stands for a container keeps its files in memory. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { certificateFacts } from '../../../src/certs/facts.js';
import { createCertificates, renewCertificates } from '../../../src/certs/generate.js';
import { presentedFingerprint } from '../../../src/certs/live.js';
import { carryOutInstall } from '../../../src/deploy/certificates-install.js';
import type { CertificateParty } from '../../../src/deploy/certificates-parties.js';
import { planCertificates } from '../../../src/deploy/certificates-plan.js';
import type { InstallStep } from '../../../src/deploy/certificates-prepare.js';
import type { Deployment } from '../../../src/deploy/deployment.js';
import type { DeployAction, EffectOf } from '../../../src/deploy/plan.js';
import { redisContainer } from '../../../src/deploy/redis-container.js';
import { ForgeError } from '../../../src/errors.js';
import { observedContainer } from '../../support/deploy-observed.js';
import { deploySettings } from '../../support/deploy-settings.js';
import { freePort } from '../../support/ports.js';
import { genCerts, removeScratchAfterAll, request, scratch, writeForgeFile } from './folder.js';

removeScratchAfterAll();

const HOST = '127.0.0.1';
/** Long enough for a handshake on a busy machine; whoever never shows a certificate is waited for as long. */
const TAKEN_MS = 1_500;

type Files = Record<'server.crt' | 'server.key' | 'ca.crt', string>;
let old: Files;
let fresh: Files;

async function read(directory: string): Promise<Files> {
  const names = { 'server.crt': 'nodes/a/server.crt', 'server.key': 'nodes/a/server.key', 'ca.crt': 'ca-bundle.crt' };
  const texts = await Promise.all(Object.values(names).map((name) => readFile(path.join(directory, name), 'utf8')));
  return Object.fromEntries(Object.keys(names).map((name, index) => [name, texts[index] ?? ''])) as Files;
}

beforeAll(async () => {
  const directory = path.join(await scratch(), 'certs');
  const options = request(directory, { hosts: ['a,127.0.0.1'] });
  await createCertificates(options);
  old = await read(directory);
  await renewCertificates({ ...options, withinDays: 0, newKeys: true });
  fresh = await read(directory);
});

/** A party that takes certificates as it is told to. */
class Party {
  readonly calls: string[] = [];
  #server: tls.Server | undefined;

  constructor(
    readonly name: string,
    readonly port: number,
    /** Takes them and shows them, refuses them, or takes them and goes on showing the former ones. */
    readonly habit: 'takes' | 'refuses' | 'ignores' = 'takes',
  ) {}

  async listen(): Promise<this> {
    const server = tls.createServer(contextOf(old), (socket) => socket.on('error', () => {}));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, HOST, resolve));
    return this;
  }

  close(): void {
    this.#server?.close();
  }

  shown(): Promise<string> {
    return presentedFingerprint({ host: HOST, port: this.port });
  }

  async carryOut([action]: readonly DeployAction[]): Promise<void> {
    const text = (name: string) => String(action?.desired.files.find(({ path: file }) => file === name)?.content ?? '');
    const given = { 'server.crt': text('server.crt'), 'server.key': text('server.key'), 'ca.crt': text('ca.crt') };
    this.calls.push(given['server.crt'] === old['server.crt'] ? 'old' : 'fresh');
    if (this.habit === 'refuses') throw new ForgeError('refused', `${this.name} does not take it.`);
    if (this.habit === 'takes') this.#server?.setSecureContext(contextOf(given));
  }

  step(): InstallStep {
    const settings = deploySettings();
    const [node] = settings.nodes;
    if (node === undefined) throw new Error('no node');
    const container = (files: Files) =>
      redisContainer(
        settings,
        node,
        Object.entries(files).map(([file, content]) => ({ path: file, content })),
      );
    const [desired, observed] = [container(fresh), observedContainer(container(old))];
    const effectOf: EffectOf = () => ({ kind: 'live', changes: [] });
    const plan = planCertificates(desired, observed, effectOf, { stage: 'all' });
    if (plan.kind !== 'action') throw new Error(plan.kind);
    const party: CertificateParty = {
      ...{ name: this.name, role: 'redis', chosen: true, names: [], desired, observed, effectOf },
      // Of a deployment, nothing else is asked.
      deployment: this as unknown as Deployment,
      ports: [this.servedPort],
    };
    return { party, action: plan.action };
  }

  readonly servedPort = { what: 'clients', host: HOST, port: 0, file: 'server.crt' } as const;
}

const contextOf = (files: Files) => ({ cert: files['server.crt'], key: files['server.key'] });
const fingerprint = (files: Files) => certificateFacts(files['server.crt']).fingerprint;

const parties: Party[] = [];
afterEach(() => {
  for (const each of parties.splice(0)) each.close();
});

async function party(name: string, habit?: Party['habit'], listens = true): Promise<Party> {
  const made = new Party(name, await freePort(), habit);
  Object.assign(made.servedPort, { port: made.port });
  parties.push(made);
  return listens ? made.listen() : made;
}

async function install(...all: readonly Party[]) {
  const steps = all.map((each) => each.step());
  const shownBefore = new Map(
    await Promise.all(
      steps.map(async ({ party: { ports } }, index) => {
        const [port] = ports;
        if (port === undefined) throw new Error('no port');
        return [port, await all[index]?.shown().catch(() => undefined)] as const;
      }),
    ),
  );
  return carryOutInstall({ stages: [{ stage: 'all', steps }], shownBefore }, { takenMs: TAKEN_MS });
}

describe('an installation of certificates', () => {
  it('is done when everybody shows the new ones', async () => {
    const all = [await party('a'), await party('b'), await party('c')];
    expect(await install(...all)).toEqual([]);
    expect(await Promise.all(all.map((each) => each.shown()))).toEqual(all.map(() => fingerprint(fresh)));
    expect(all.map(({ calls }) => calls)).toEqual(all.map(() => ['fresh']));
  });

  it('takes back what is not shown, and says so', async () => {
    const all = [await party('a'), await party('b', 'ignores')];
    await expect(install(...all)).rejects.toMatchObject({
      kind: 'partial',
      host: 'b',
      message: expect.stringMatching(
        /^b has not taken its certificates: .*still shows another .*It has its former ones again\.$/,
      ),
      next: expect.arrayContaining([expect.stringContaining('The same command does the rest')]),
    });
    expect(all[1]?.calls).toEqual(['fresh', 'old']);
    expect(await all[0]?.shown()).toBe(fingerprint(fresh));
  });

  it('goes no further than the first when that refuses', async () => {
    const all = [await party('a', 'refuses'), await party('b')];
    await expect(install(...all)).rejects.toMatchObject({
      kind: 'refused',
      next: expect.arrayContaining(['a goes on with its former certificates.', 'Nothing else was changed.']),
    });
    expect(all[1]?.calls).toEqual([]);
  });

  it('tells of a port that could never be looked at, which is no failure', async () => {
    const hidden = await party('a', 'takes', false);
    expect(await install(hidden, await party('b'))).toEqual([
      { node: 'a', what: 'clients', host: HOST, port: hidden.port },
    ]);
  });

  it('fails when a port that was there is gone', async () => {
    const one = await party('a');
    const step = one.step();
    one.close();
    const shownBefore = new Map(step.party.ports.map((port) => [port, fingerprint(old)]));
    await expect(
      carryOutInstall({ stages: [{ stage: 'all', steps: [step] }], shownBefore }, { takenMs: TAKEN_MS }),
    ).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringContaining('former ones again') });
  });
});

describe('forge gen-certs --install', () => {
  it('asks for TLS in forge.yaml, for the folder that is named there, and for the other flags to fit', async () => {
    const folder = await scratch();
    const directory = path.join(folder, 'certs');
    await writeForgeFile(folder, ['127.0.0.1:7901']);
    const env = { REDIS_REQUIREPASS: 'secret' };
    const run = (...words: string[]) => genCerts(directory, ['--install', ...words], { cwd: folder, env });
    expect(await run()).toMatchObject({ code: 3, stderr: expect.stringContaining('redis.tls.directory') });
    await createCertificates(request(path.join(folder, 'others'), { nodes: [{ host: HOST, port: 7901 }] }));
    await writeForgeFile(folder, ['127.0.0.1:7901'], 'redis: { tls: { directory: others } }\n');
    expect(await run()).toMatchObject({ code: 3, stderr: expect.stringMatching(/of .*others, not of .*certs/) });
    expect(await run('--renew')).toMatchObject({ code: 2 });
    expect(await genCerts(directory, ['--all'], { cwd: folder, env })).toMatchObject({ code: 2 });
  });
});
