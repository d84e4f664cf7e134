/** A real image registry on loopback, where engines take images without TLS. */
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../ports.js';
import { startProgram } from '../programs.js';

const PROGRAM = process.env['FORGE_TEST_REGISTRY'] || '/usr/bin/docker-registry';
/** Nobody's: what matters is that there is a login, and that nobody has logged in. */
const HTPASSWD = 'nobody:$2y$05$abcdefghijklmnopqrstuuJ1Qx7Z0m5n0qk8l2hXJq0Xn8sYyq8yG\n';

export interface TestRegistry {
  /** `127.0.0.1:PORT`, the first part of an image's name. */
  readonly address: string;
  stop(): Promise<void>;
}

export function hasRegistry(): boolean {
  try {
    accessSync(PROGRAM, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param login it asks for one that nobody has */
export async function startRegistry({ login = false } = {}): Promise<TestRegistry> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-registry-'));
  const [port, health] = [await freePort(), await freePort()];
  await writeFile(path.join(folder, 'htpasswd'), HTPASSWD);
  const configuration = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: path.join(folder, 'data') } },
    // Its debugging pages answer without a login.
    http: { addr: `127.0.0.1:${port}`, debug: { addr: `127.0.0.1:${health}` } },
    ...(login ? { auth: { htpasswd: { realm: 'forge', path: path.join(folder, 'htpasswd') } } } : {}),
  };
  // JSON is YAML.
  await writeFile(path.join(folder, 'config.yml'), JSON.stringify(configuration));
  const words = ['serve', path.join(folder, 'config.yml')];
  const program = await startProgram(PROGRAM, words, `http://127.0.0.1:${health}/debug/health`);
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      await program.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
