import { type Allocate, type Bytes, utf8Bytes } from '../bytes.js';

/** Replies and commands of the proxy's own, encoded once. Error strings are Envoy's where it has one. */
export class Texts {
  readonly empty: Bytes;
  readonly ok: Bytes;
  readonly pong: Bytes;
  readonly noAuth: Bytes;
  readonly upstreamFailure: Bytes;
  readonly upstreamProtocolError: Bytes;
  readonly noUpstreamHost: Bytes;
  readonly queued: Bytes;
  readonly tooManyDedicated: Bytes;
  readonly asking: Bytes;

  constructor(allocate: Allocate) {
    const encode = (text: string) => utf8Bytes(text, allocate);
    this.empty = encode('');
    this.ok = encode('+OK\r\n');
    this.pong = encode('+PONG\r\n');
    this.noAuth = encode('-NOAUTH Authentication required.\r\n');
    this.upstreamFailure = encode('-upstream failure\r\n');
    this.upstreamProtocolError = encode('-upstream protocol error\r\n');
    this.noUpstreamHost = encode('-no upstream host\r\n');
    this.queued = encode('+QUEUED\r\n');
    this.tooManyDedicated = encode(
      '-ERR max number of dedicated connections reached; clients that block or WATCH need one each\r\n',
    );
    this.asking = encode('*1\r\n$6\r\nASKING\r\n');
  }
}
