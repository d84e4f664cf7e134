import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { connectTls, startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';
import { command } from '../../support/resp.js';
import { FULL } from '../../support/servers.js';

const CLIENTS = FULL ? 5_000 : 1_500;
/** Connections that are being made at once. */
const AT_ONCE = 100;
const MEGABYTE = 1024 * 1024;
const VALUE_BYTES = 100 * MEGABYTE;
/** A slow reader takes this much, then rests. */
const SIP_BYTES = 8 * MEGABYTE;
const REST_MS = 30;
/** Above what the proxy had before: a value that passes is held in no place as a whole. */
const GROWTH_BYTES_MAX = 160 * MEGABYTE;

let authority: Authority;
let cluster: RedisCluster;
let side: TlsProxy;

beforeAll(async () => {
  [authority, cluster] = await Promise.all([makeAuthority(), startCluster({ masters: 1 })]);
  side = await startTlsProxy(authority, cluster.addresses);
});

afterAll(async () => {
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
});

describe('TLS at its limits', () => {
  it(`serves ${CLIENTS} clients at once`, async () => {
    const sockets: TLSSocket[] = [];
    const options = trust(authority);
    let next = 0;
    const connectSome = async () => {
      while (next++ < CLIENTS) sockets.push(await connectTls(side.tlsPort, options));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, connectSome));
    expect(sockets).toHaveLength(CLIENTS);
    const stats = await side.proxy.stats('downstream_cx_active');
    expect(stats['redis.egress_redis.downstream_cx_active']).toBe(CLIENTS);
    const answers = await Promise.all(
      sockets.map(async (socket, i) => {
        socket.write(command('ECHO', `client ${i}`));
        const [bytes] = (await once(socket, 'data')) as [Buffer];
        return bytes.toString();
      }),
    );
    answers.forEach((answer, i) => {
      expect(answer).toContain(`\r\nclient ${i}\r\n`);
    });
    for (const socket of sockets) socket.destroy();
  }, 180_000);

  it('passes 100 MB values both ways, to slow readers, without holding them', async () => {
    const writer = await RawClient.connect({ port: side.tlsPort, tls: trust(authority), timeoutMs: 60_000 });
    const value = Buffer.alloc(VALUE_BYTES, 'abcdefghij0123456789-');
    // What so many clients have left behind is no part of this.
    await writer.call('SET', 'warm', value.subarray(0, 4 * MEGABYTE));
    const before = side.proxy.rssBytes();
    let peak = before;
    const sampler = setInterval(() => {
      peak = Math.max(peak, side.proxy.rssBytes());
    }, 20);
    expect(await writer.call('SET', 'big', value)).toBe('OK');
    writer.close();
    await Promise.all(
      [0, 1].map(async () => {
        const reader = await connectTls(side.tlsPort, trust(authority));
        reader.write(command('GET', 'big'));
        const wanted = VALUE_BYTES + `$${VALUE_BYTES}\r\n\r\n`.length;
        let got = 0;
        let rested = 0;
        let sound = true;
        await new Promise<void>((resolve, reject) => {
          reader.once('close', () => reject(new Error(`closed after ${got} bytes`)));
          reader.on('data', (bytes: Buffer) => {
            const at = got - `$${VALUE_BYTES}\r\n`.length;
            if (at >= 0 && at + bytes.length <= VALUE_BYTES) {
              sound &&= bytes[0] === value[at] && bytes[bytes.length - 1] === value[at + bytes.length - 1];
            }
            got += bytes.length;
            if (got === wanted) resolve();
            if (got - rested < SIP_BYTES) return;
            rested = got;
            reader.pause();
            setTimeout(() => reader.resume(), REST_MS);
          });
        });
        reader.destroy();
        expect(sound).toBe(true);
      }),
    );
    clearInterval(sampler);
    expect((peak - before) / MEGABYTE).toBeLessThan(GROWTH_BYTES_MAX / MEGABYTE);
  }, 120_000);
});
