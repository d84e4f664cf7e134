import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { decode } from '../../support/resp.js';
import { COMMANDS, type Command } from './comparison-commands.js';

let cluster: RedisCluster;
let server: RedisServer;
let proxy: RunningProxy;

beforeAll(async () => {
  [cluster, server] = await Promise.all([startCluster(), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses });
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all([cluster?.stop(), server?.stop()]);
});

async function emptied(): Promise<void> {
  await Promise.all([...cluster.nodes, server].map((node) => node.call('FLUSHALL')));
}

/** Replies that may differ, each with the reason. */
const ALLOWED: readonly { when: (command: Command) => boolean; because: string }[] = [
  {
    when: ([name, ...args]) => name === 'AUTH' && (args.length === 1 || args.length === 2),
    because: "a login where none is configured is refused in Envoy's words",
  },
];

function printed(command: Command): string {
  return command.map((arg) => JSON.stringify(Buffer.isBuffer(arg) ? arg.toString('latin1') : arg)).join(' ');
}

describe.each([2, 3])('through the proxy, in RESP%i,', (proto) => {
  it('every command is answered with the bytes that one Redis server answers', async () => {
    await emptied();
    const [direct, proxied] = await Promise.all([
      RawClient.connect({ port: server.port }),
      RawClient.connect({ port: proxy.port }),
    ]);
    await Promise.all([direct.call('HELLO', proto), proxied.call('HELLO', proto)]);
    const differences: string[] = [];
    for (const command of COMMANDS) {
      const expected = (await direct.exchange(...command)).toString('latin1');
      const found = (await proxied.exchange(...command)).toString('latin1');
      if (expected === found || ALLOWED.some(({ when }) => when(command))) continue;
      differences.push(
        `${printed(command)}\n  server: ${JSON.stringify(expected)}\n  proxy:  ${JSON.stringify(found)}`,
      );
    }
    expect(differences.join('\n')).toBe('');
    direct.close();
    proxied.close();
  });

  it('the same commands in one pipeline give the same replies in the same order', async () => {
    await emptied();
    const [direct, proxied] = await Promise.all([
      RawClient.connect({ port: server.port }),
      RawClient.connect({ port: proxy.port }),
    ]);
    await Promise.all([direct.call('HELLO', proto), proxied.call('HELLO', proto)]);
    const expected = await direct.pipeline(COMMANDS);
    const found = await proxied.pipeline(COMMANDS);
    COMMANDS.forEach((command, i) => {
      if (!ALLOWED.some(({ when }) => when(command))) expect(found[i], printed(command)).toEqual(expected[i]);
    });
    direct.close();
    proxied.close();
  });
});

describe('the proxy answers HELLO', () => {
  it('with the fields of one standalone server, as a map in RESP3 and a flat array in RESP2', async () => {
    const [direct, proxied] = await Promise.all([
      RawClient.connect({ port: server.port }),
      RawClient.connect({ port: proxy.port }),
    ]);
    const known = ['server', 'version', 'proto', 'mode', 'role', 'modules'];
    for (const words of [['HELLO', '3'], ['HELLO'], ['HELLO', '2', 'SETNAME', 'me'], ['HELLO']]) {
      const [expected, found] = await Promise.all([direct.call(...words), proxied.call(...words)]);
      const asMap = (value: typeof found) => {
        if (value instanceof Map) return value;
        const flat = value as string[];
        return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]));
      };
      expect(found instanceof Map).toBe(expected instanceof Map);
      expect([...asMap(found).keys()]).toEqual([...asMap(expected).keys()]);
      for (const key of known) expect(asMap(found).get(key)).toEqual(asMap(expected).get(key));
    }
    expect(await proxied.call('CLIENT', 'GETNAME')).toBe('me');
    direct.close();
    proxied.close();
  });

  it('with a version for each connection of its own: RESP2 and RESP3 clients do not disturb each other', async () => {
    const [two, three] = await Promise.all([
      RawClient.connect({ port: proxy.port }),
      RawClient.connect({ port: proxy.port }),
    ]);
    await three.call('HELLO', 3);
    await two.call('HSET', 'both', 'f', 'v');
    for (let i = 0; i < 50; i++) {
      two.send(Buffer.from('*2\r\n$7\r\nHGETALL\r\n$4\r\nboth\r\n'));
      three.send(Buffer.from('*2\r\n$7\r\nHGETALL\r\n$4\r\nboth\r\n'));
    }
    for (const reply of await two.raw(50)) expect(decode(reply)).toEqual(['f', 'v']);
    for (const reply of await three.raw(50)) expect(decode(reply)).toEqual(new Map([['f', 'v']]));
    two.close();
    three.close();
  });
});
