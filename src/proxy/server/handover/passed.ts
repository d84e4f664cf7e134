import type { PassedClient } from '../../engine/clients/passing.js';

/**
 * Of a client: its state, the path of the Unix socket that it came by (empty for a port), what it is subscribed to, and
 * what it has begun to say.
 */
export interface Passed {
  readonly client: PassedClient;
  readonly path: string;
  /** Numbers of topics, as `retold.ts` has them; none for a client that does not come with a `Retelling`. */
  readonly topics: readonly number[];
  /** One character a byte. */
  readonly input: string;
}

const LENGTH_BYTES = 4;
const encoder = new TextEncoder();

/**
 * Writes a client's state to `into`: the length of a JSON document, that, and the input as it is.
 * @returns the bytes that it took
 * @throws RangeError when there is no room for it
 */
export function encodePassed(
  into: Uint8Array,
  client: PassedClient,
  path: string,
  input: Uint8Array | null,
  topics: readonly number[] = [],
): number {
  const text = encoder.encode(JSON.stringify({ client, path, ...(topics.length > 0 ? { topics } : {}) }));
  const end = LENGTH_BYTES + text.length + (input?.length ?? 0);
  if (end > into.length) throw new RangeError(`${end} bytes of a client's state`);
  new DataView(into.buffer, into.byteOffset).setUint32(0, text.length, true);
  into.set(text, LENGTH_BYTES);
  if (input !== null) into.set(input, LENGTH_BYTES + text.length);
  return end;
}

/** Reads it. Null when it is not whole, or says something else. */
export function decodePassed(bytes: Uint8Array): Passed | null {
  if (bytes.length < LENGTH_BYTES) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (LENGTH_BYTES + length > bytes.length) return null;
  try {
    const text = new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
    const { client, path, topics = [] } = JSON.parse(text) as Omit<Passed, 'input'>;
    if (typeof client?.proto !== 'number' || typeof path !== 'string' || !Array.isArray(topics)) return null;
    let input = '';
    for (const byte of bytes.subarray(LENGTH_BYTES + length)) input += String.fromCharCode(byte);
    return { client, path, topics, input };
  } catch {
    return null;
  }
}
