import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';
import { decode } from '../../support/resp.js';

const ROUNDS = 50;

let cluster: RedisCluster;
let proxy: RunningProxy;

beforeAll(async () => {
  cluster = await startCluster();
  proxy = await startProxy({ cluster: cluster.addresses });
});

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

describe('the version of the protocol', () => {
  it('is each connection’s own: RESP2 and RESP3 clients do not disturb each other', async () => {
    const [two, three] = await Promise.all([
      RawClient.connect({ port: proxy.port }),
      RawClient.connect({ port: proxy.port }),
    ]);
    await three.call('HELLO', 3);
    await two.call('HSET', 'both', 'f', 'v');
    for (let i = 0; i < ROUNDS; i++) {
      two.send(Buffer.from('*2\r\n$7\r\nHGETALL\r\n$4\r\nboth\r\n'));
      three.send(Buffer.from('*2\r\n$7\r\nHGETALL\r\n$4\r\nboth\r\n'));
    }
    for (const reply of await two.raw(ROUNDS)) expect(decode(reply)).toEqual(['f', 'v']);
    for (const reply of await three.raw(ROUNDS)) expect(decode(reply)).toEqual(new Map([['f', 'v']]));
    two.close();
    three.close();
  });
});
