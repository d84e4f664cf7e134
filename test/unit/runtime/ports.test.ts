import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { describeHolder, findPortHolder, isPortFree, parseListeners } from '../../../src/runtime/ports.js';
import { freePort } from '../../support/ports.js';

describe('a port of this host', () => {
  it('that is held is not free, and its holder is named', async () => {
    const port = await freePort();
    expect(await isPortFree(port)).toBe(true);
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      expect(await isPortFree(port)).toBe(false);
      const holder = await findPortHolder(port);
      expect(holder?.pid).toBe(process.pid);
      expect(describeHolder(holder)).toContain(`process ${process.pid}`);
    } finally {
      server.close();
    }
  });

  it('that nobody holds has no holder', async () => {
    expect(await findPortHolder(await freePort())).toBeUndefined();
  });

  it('whose holder is hidden is still told in words', () => {
    expect(describeHolder(undefined)).toMatch(/another process/);
  });
});

describe('parseListeners', () => {
  const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
  const row = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000`;

  it('finds the sockets that listen on the port, on any address', () => {
    const table = [head, row('0100007F:1B59', '0A', 11), row('00000000:1B59', '0A', 12)].join('\n');
    expect(parseListeners(table, 7001)).toEqual(['11', '12']);
  });

  it('leaves out connections, and other ports', () => {
    const table = [head, row('0100007F:1B59', '01', 11), row('0100007F:1B5A', '0A', 12)].join('\n');
    expect(parseListeners(table, 7001)).toEqual([]);
  });

  it('reads IPv6 tables, too', () => {
    expect(parseListeners(row('00000000000000000000000000000000:0050', '0A', 7), 80)).toEqual(['7']);
  });
});
