import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCommands } from '../../../src/proxy/engine/commands/command-reply.js';
import { Server } from '../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../src/proxy/engine/commands/table.generated.js';
import type { Reply } from '../../../src/proxy/engine/resp/decode.js';
import { buildModule } from '../../support/module/build.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const LEARN_MS = 10_000;

let module: string;
let cluster: RedisCluster;
let proxy: RunningProxy;

beforeAll(async () => {
  module = buildModule();
  cluster = await startCluster({ args: ['--loadmodule', module] });
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
  if (module !== undefined) rmSync(path.dirname(module), { recursive: true, force: true });
});

describe('COMMAND', () => {
  it('is read as the table was: the same names, arity, keys and tips', async () => {
    const specs = new Map(
      readCommands((await cluster.nodes[0]!.call('COMMAND')) as Reply).map((spec) => [spec.name, spec]),
    );
    const table = COMMANDS.filter(({ servers }) => servers & Server.redis7);
    expect(specs.size).toBeGreaterThan(300);
    expect(table.filter(({ name }) => !specs.has(name)).map(({ name }) => name)).toEqual([]);
    for (const { name, keys, container } of table) {
      const read = specs.get(name)!;
      const places = (of: typeof keys) => of.map(({ begin, find }) => ({ begin, find }));
      expect(places(read.keys), name).toEqual(places(keys));
      expect(read.container, name).toBe(container);
    }
    expect(specs.get('get')).toMatchObject({ ...COMMANDS.find(({ name }) => name === 'get'), servers: 0 });
    expect(specs.get('dbsize')).toMatchObject({ request: 'all_shards', response: 'agg_sum' });
  });
});

describe("a module's commands", () => {
  it('are served by every worker once the proxy has seen them', { timeout: 30_000 }, async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect({ port: proxy.port })));
    for (const [i, client] of clients.entries()) {
      const first = await poll('forge.put is known', LEARN_MS, async () => {
        const value = await client.ask('FORGE.PUT', `module:${i}`, 'value');
        return value instanceof ErrorReply ? false : { value };
      });
      expect(first.value).toBe('value');
      for (let key = 0; key < 30; key++) {
        expect(await client.ask('forge.put', `module:${i}:${key}`, `value ${key}`)).toBe(`value ${key}`);
        expect(await client.ask('Forge.Size', `module:${i}:${key}`)).toBe(`value ${key}`.length);
        expect(await client.ask('FORGE.BOX', 'SIZE', `module:${i}:${key}`)).toBe(`value ${key}`.length);
        expect(await client.ask('GET', `module:${i}:${key}`)).toBe(`value ${key}`);
      }
      expect(await client.ask('FORGE.SIZE', 'module:none')).toBeNull();
      client.close();
    }
    // By their key, and not by what a node says of it.
    const stats = await proxy.stats('upstream_rq_moved|command.forge');
    const moved = Object.entries(stats).filter(([name]) => name.endsWith('upstream_rq_moved'));
    expect(moved.map(([, value]) => value)).toEqual([0]);
    expect(stats['redis.egress_redis.command.forge.put.total']).toBe(8 * 31);
    expect(stats['redis.egress_redis.command.forge.box_size.success']).toBe(8 * 30);
  });

  it('are refused when they administer, and with a wrong number of arguments', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    await poll('forge.put is known', LEARN_MS, async () => (await client.ask('FORGE.PUT', 'k', 'v')) === 'v');
    const message = async (...args: string[]) => ((await client.ask(...args)) as ErrorReply).message;
    expect(await message('FORGE.ADMIN')).toMatch(/^ERR unsupported command 'forge.admin'/);
    expect(await message('FORGE.PUT', 'k')).toMatch(/wrong number of arguments/);
    expect(await message('FORGE.BOX', 'NOSUCH', 'k')).toMatch(/^ERR unknown subcommand/);
    expect(await message('FORGE.NOSUCH', 'k')).toMatch(/^ERR unknown command/);
    client.close();
  });
});
