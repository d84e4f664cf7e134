import { describe, expect, it } from 'vitest';
import { acquireRequest, type Request, releaseRequest } from '../../../../../src/proxy/engine/core/request.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
const OP_TIMEOUT_MS = 5000;

describe('a command that waits for a connection for too long', () => {
  it('is answered once, also when its connection is given back with that', () => {
    const fake = new FakeCore(1, { connectTimeoutMs: 2 * OP_TIMEOUT_MS });
    fake.turn();
    // The node takes no connections.
    fake.connect = () => {};
    const { say, socket, client } = fake.client();
    say(command('WATCH', 'a'));
    fake.pass(OP_TIMEOUT_MS + 500);
    expect(socket.take()).toBe('-no upstream host\r\n');
    expect(client.pending).toBe(0);
    expect(fake.counter('upstream_rq_pending_active')).toBe(0);
    expect(fake.counter('upstream_rq_failure')).toBe(1);
    // Given back twice, a request would be handed out twice: to two clients.
    const requests = new Set<Request>();
    for (let i = 0; i < 10; i++) requests.add(acquireRequest());
    expect(requests.size).toBe(10);
    for (const request of requests) releaseRequest(request);
    expect(say(command('PING') + command('PING'))).toBe('+PONG\r\n+PONG\r\n');
  });
});
