import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { TracingConfig } from '../../../../src/proxy/config/recording.js';
import { SpanExporter } from '../../../../src/proxy/server/recording/span-exporter.js';
import { poll } from '../../../support/redis.js';

const servers: http.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
}

function exporterTo(url: string): SpanExporter {
  const config = { otlp_endpoint: url, service_name: 's', timeout: 5000, max_queue: 10, max_batch: 1 };
  const exporter = new SpanExporter({ warn() {}, info() {} }, {});
  exporter.configure(config as unknown as TracingConfig, { 'x-api-key': 'secret' });
  return exporter;
}

describe('a collector of spans', () => {
  it('that answers without end is not listened to', async () => {
    let sent = 0;
    let left = false;
    const piece = Buffer.alloc(64 * 1024, 'x');
    const url = await serve((_, response) => {
      response.on('close', () => {
        left = true;
      });
      const more = () => {
        while (!left) {
          sent += piece.length;
          if (!response.write(piece)) break;
        }
      };
      response.on('drain', more);
      more();
    });
    const exporter = exporterTo(url);
    exporter.take(['{}'], [1], 0);
    await poll('the exporter hangs up', 3000, () => left);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    expect([exporter.sent, exporter.failures]).toEqual([1, 0]);
  });

  it('that does not answer is given up in time, and the log says why', async () => {
    const said: unknown[] = [];
    const exporter = new SpanExporter({ warn: (_, fields) => said.push(fields?.['reason']), info() {} }, {});
    const url = await serve((_, response) => void response.writeHead(200).write('x'));
    const config = { otlp_endpoint: url, service_name: 's', timeout: 200, max_queue: 10, max_batch: 1 };
    exporter.configure(config as unknown as TracingConfig, {});
    exporter.take(['{}'], [1], 0);
    await poll('it is given up', 3000, () => exporter.failures === 1);
    expect(said).toEqual(['TimeoutError']);
    exporter.configure(undefined, {});
  });

  it('does not send the secrets of its requests elsewhere', async () => {
    const elsewhere: http.IncomingHttpHeaders[] = [];
    const other = await serve((request, response) => {
      elsewhere.push(request.headers);
      response.end('{}');
    });
    const exporter = exporterTo(await serve((_, response) => response.writeHead(307, { location: other }).end()));
    exporter.take(['{}'], [1], 0);
    await poll('it is refused', 3000, () => exporter.dropped === 1);
    expect(elsewhere).toEqual([]);
    expect(exporter.failures).toBe(1);
  });
});
