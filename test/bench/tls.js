// TLS beside HAProxy, which does nothing but TLS before one server: what a command costs either of them.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, start, stop, until } from './processes.js';
import { medians } from './statistics.js';
import { COMMANDS, load, WARM_UP } from './throughput.js';

export const TLS_CASE = { pipeline: 1, clients: 50, requests: 200_000 };
const DAYS = 2;
const HAPROXY_CONNECTIONS = 4_000;

/** A certificate that is its own CA, for this host. */
export function makeCertificate(folder) {
  const [chain, key] = ['tls.crt', 'tls.key'].map((name) => path.join(folder, name));
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', String(DAYS)],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', key, '-out', chain],
  ]);
  return { chain, key };
}

/** HAProxy with one thread: TLS to clients, TCP to one server. */
export async function startHaproxy(server, { chain, key }, folder) {
  const port = await freePort();
  const both = path.join(folder, 'tls.pem');
  writeFileSync(both, readFileSync(chain, 'utf8') + readFileSync(key, 'utf8'));
  const config = path.join(folder, `haproxy-${port}.cfg`);
  writeFileSync(
    config,
    [
      'global',
      '  nbthread 1',
      `  maxconn ${HAPROXY_CONNECTIONS}`,
      '  ssl-default-bind-options ssl-min-ver TLSv1.2',
      'defaults',
      '  mode tcp',
      '  timeout connect 5s',
      '  timeout client 60s',
      '  timeout server 60s',
      'listen redis',
      `  bind 127.0.0.1:${port} ssl crt ${both}`,
      `  server redis 127.0.0.1:${server.port}`,
      '',
    ].join('\n'),
  );
  const child = start('haproxy', ['-db', '-f', config]);
  const shakesHands = () =>
    execFileSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`], {
      input: '',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  await until('haproxy', shakesHands, { child });
  return { name: 'haproxy', port, pid: child.pid, backends: [server.pid], tls: { ca: chain }, stop: () => stop(child) };
}

/**
 * Interleaved rounds of the same load, every client with TLS.
 * @param endpoints each with `tls`
 * @returns {Promise<object[]>} a record for each endpoint and command, with medians
 */
export async function measureTls(endpoints, { rounds, scale, log }) {
  const size = { ...TLS_CASE, requests: Math.round(TLS_CASE.requests * scale) };
  for (const endpoint of endpoints) await load(endpoint, WARM_UP, 'set');
  const records = [];
  for (const command of COMMANDS) {
    const runs = new Map(endpoints.map((endpoint) => [endpoint, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [endpoint, measured] of runs) measured.push(await load(endpoint, size, command));
    }
    for (const [{ name }, measured] of runs) {
      const record = { command, endpoint: name, ...medians(measured) };
      records.push(record);
      log(`tls ${command} ${name}: ${record.cpuUs.toFixed(2)} µs of processor time per command`);
    }
  }
  return records;
}
