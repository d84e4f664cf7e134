/** Asking a running proxy over its admin HTTP. */
import http from 'node:http';
import { ForgeError } from '../../errors.js';

/** One request, milliseconds. */
export const ADMIN_TIMEOUT_MS = 2_000;
/** No admin page is longer; a longer one is not our proxy's. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

export interface AdminAddress {
  host: string;
  port: number;
}

export interface AdminReply {
  status: number;
  body: string;
}

/**
 * GETs one admin page.
 * @throws ForgeError `unreachable` when nothing answers, `timeout` when the answer does not end in time
 */
export async function adminGet(address: AdminAddress, path: string, signal?: AbortSignal): Promise<AdminReply> {
  return await ask(address, 'GET', path, signal);
}

/** The same with POST: what changes something. */
export async function adminPost(address: AdminAddress, path: string, signal?: AbortSignal): Promise<AdminReply> {
  return await ask(address, 'POST', path, signal);
}

async function ask(address: AdminAddress, method: string, path: string, signal?: AbortSignal): Promise<AdminReply> {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const label = `${host}:${address.port}`;
  const limit = AbortSignal.timeout(ADMIN_TIMEOUT_MS);
  try {
    return await send(
      method,
      `http://${label}${path}`,
      signal === undefined ? limit : AbortSignal.any([limit, signal]),
    );
  } catch (cause) {
    signal?.throwIfAborted();
    if (limit.aborted) {
      throw new ForgeError('timeout', `The proxy's admin page did not answer within ${ADMIN_TIMEOUT_MS} ms.`, {
        host: label,
        cause,
      });
    }
    throw new ForgeError('unreachable', "The proxy's admin page does not answer.", {
      host: label,
      next: 'Is it running, and is this its admin address? forge proxy status --admin HOST:PORT',
      cause,
    });
  }
}

/** Readiness as Envoy has it: `LIVE`, or why not (`PRE_INITIALIZING`, `DRAINING`). */
export async function readiness(
  address: AdminAddress,
  signal?: AbortSignal,
): Promise<{ ready: boolean; state: string }> {
  const { status, body } = await adminGet(address, '/ready', signal);
  return { ready: status === 200, state: body.trim().slice(0, 64) };
}

/** A JSON admin page. @throws ForgeError as `adminGet`, or `verification` when it is no JSON */
export async function adminJson(address: AdminAddress, path: string, signal?: AbortSignal): Promise<unknown> {
  const { status, body } = await adminGet(address, path, signal);
  try {
    if (status === 200) return JSON.parse(body) as unknown;
  } catch {
    // Told below, like any other answer that is not the page.
  }
  throw new ForgeError('verification', `GET ${path} answered ${status} and no JSON.`, {
    host: `${address.host}:${address.port}`,
    next: 'Is this the admin address of a forge-proxy?',
  });
}

function send(method: string, url: string, signal: AbortSignal): Promise<AdminReply> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_BYTES_MAX) request.destroy(new Error('the page is too long'));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    request.once('error', reject);
    request.end();
  });
}
