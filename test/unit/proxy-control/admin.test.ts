import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { adminGet, adminJson, readiness } from '../../../src/proxy/control/admin.js';
import { freePort } from '../../support/ports.js';

let server: http.Server | undefined;

async function serve(listener: http.RequestListener) {
  server = http.createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

describe('the admin page', () => {
  it('tells whether the proxy is ready, and what it says if not', async () => {
    const address = await serve((request, response) => {
      response.writeHead(request.url === '/ready' ? 503 : 404).end('PRE_INITIALIZING\n');
    });
    expect(await readiness(address)).toEqual({ ready: false, state: 'PRE_INITIALIZING' });
  });

  it('that does not answer is an unreachable host, named', async () => {
    const port = await freePort();
    await expect(adminGet({ host: '127.0.0.1', port }, '/ready')).rejects.toMatchObject({
      kind: 'unreachable',
      host: `127.0.0.1:${port}`,
    });
  });

  it('that never ends its answer is left after two seconds', async () => {
    const address = await serve((_, response) => {
      response.write('LI');
    });
    await expect(adminGet(address, '/ready')).rejects.toMatchObject({ kind: 'timeout' });
  });

  it('that has no end is cut off', async () => {
    const block = Buffer.alloc(1024 * 1024);
    const address = await serve((_, response) => {
      const more = () => {
        while (response.write(block));
        response.once('drain', more);
      };
      more();
    });
    await expect(adminGet(address, '/stats')).rejects.toMatchObject({ kind: 'unreachable' });
  });

  it('of something else than our proxy is told as such', async () => {
    const address = await serve((_, response) => response.end('<html>'));
    await expect(adminJson(address, '/server_info')).rejects.toMatchObject({ kind: 'verification' });
  });
});
