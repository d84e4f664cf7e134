/** A proxy between a client and a store that does to requests and answers what networks and stores do to them. */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  /** How often this method and address came before. */
  readonly earlier: number;
  /** Bytes of the answer's body that were passed on. */
  answered: number;
}

export type Fault =
  /** Answers so, without asking the store. */
  | { readonly answer: { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string } }
  /** Ends the connection after so many bytes of the request's body. */
  | { readonly cutRequestAfter: number }
  /** Ends the connection, or says no more, after so many bytes of the answer's body. */
  | { readonly cutAnswerAfter: number }
  | { readonly silentAfter: number }
  /** The store has done it; nobody hears of it. */
  | { readonly loseAnswer: true };

export interface FaultyProxy {
  readonly endpoint: string;
  /** All requests, the oldest first. */
  readonly seen: SeenRequest[];
  /** What happens to a request; nothing when it returns undefined. */
  fault: (request: SeenRequest) => Fault | undefined | Promise<Fault | undefined>;
  /** Forgets what was seen, and every fault. */
  reset(): void;
  stop(): Promise<void>;
}

export async function startFaultyProxy(target: string, tls?: { readonly cert: string; readonly key: string }) {
  const { hostname, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  const counts = new Map<string, number>();
  const handle = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const name = `${method} ${url}`;
    const seen: SeenRequest = { method, url, headers, earlier: counts.get(name) ?? 0, answered: 0 };
    counts.set(name, seen.earlier + 1);
    proxy.seen.push(seen);
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const fault = await proxy.fault(seen);
    if (fault !== undefined && 'answer' in fault) {
      const { status, headers: own, body = '' } = fault.answer;
      request.resume();
      response.writeHead(status, { 'content-type': 'application/xml', ...own }).end(body);
      return;
    }
    if (fault !== undefined && 'cutRequestAfter' in fault) {
      let bytes = 0;
      request.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > fault.cutRequestAfter) request.socket.destroy();
      });
      return;
    }
    const onward = http.request({ hostname, port, method, path: url, headers, agent }, (answer) => {
      if (fault !== undefined && 'loseAnswer' in fault) {
        answer.resume();
        answer.once('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      pass(answer, response, seen, fault);
    });
    onward.once('error', () => request.socket.destroy());
    request.pipe(onward);
  };
  const server = tls === undefined ? http.createServer() : https.createServer(tls);
  server.on('request', (request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultyProxy = {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    fault: () => undefined,
    reset() {
      proxy.seen.length = 0;
      counts.clear();
      proxy.fault = () => undefined;
    },
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

function pass(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  seen: SeenRequest,
  fault: Fault | undefined,
) {
  const cut = fault !== undefined && 'cutAnswerAfter' in fault ? fault.cutAnswerAfter : Number.POSITIVE_INFINITY;
  const silent = fault !== undefined && 'silentAfter' in fault ? fault.silentAfter : Number.POSITIVE_INFINITY;
  if (Math.min(cut, silent) === 0) response.flushHeaders();
  answer.on('data', (piece: Buffer) => {
    const most = Math.min(cut, silent);
    const given = piece.subarray(0, Math.max(0, Math.min(piece.length, most - seen.answered)));
    seen.answered += given.length;
    const more = given.length === 0 || response.write(given);
    if (seen.answered >= cut) {
      answer.destroy();
      // What was written has to arrive first.
      setImmediate(() => response.socket?.end());
    } else if (!more) {
      answer.pause();
      response.once('drain', () => answer.resume());
    }
  });
  answer.once('end', () => {
    if (seen.answered < silent) response.end();
  });
  answer.once('error', () => response.destroy());
  response.once('close', () => answer.destroy());
}
