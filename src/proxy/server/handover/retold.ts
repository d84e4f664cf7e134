/**
 * What two workers say to each other while the subscribers of the one become those of the other: packets over one
 * connection, in order. Each begins with a byte that says what it is; numbers are 32 bits, little endian.
 */
export const Retold = {
  /** From the one that takes over: it listens. */
  hello: 1,
  /** What is delivered to a topic is retold from here on, until it is done: its number, its kind, and its name. */
  topic: 2,
  /** What was delivered: a piece of a stream of RESP2 messages, of all topics. */
  messages: 3,
  /** A client, with its connection (`passed.ts`). What was delivered before is what it has been told. */
  client: 4,
  /** No client of these topics comes any more: numbers. */
  end: 5,
  /** From the one that takes over: these topics need not be retold any more: numbers. */
  done: 6,
  /** From the one that takes over: how far is the other one? A number. */
  ask: 7,
  /** The number, behind all that had come from the nodes when it was asked. */
  answer: 8,
} as const;

/** Bytes of a topic's name; who is subscribed to a longer one is not passed on. */
export const RETOLD_NAME_BYTES_MAX = 64 * 1024;
/** Numbers in one packet. */
export const NUMBERS_MAX = 8192;

const TOPIC_NAME_AT = 6;

/** What has nothing but numbers. */
type Numbered = (typeof Retold)['end' | 'done' | 'ask' | 'answer'];

/** @param name one character a byte */
export function encodeTopic(number: number, kind: number, name: string): Uint8Array {
  const packet = new Uint8Array(TOPIC_NAME_AT + name.length);
  packet[0] = Retold.topic;
  new DataView(packet.buffer).setUint32(1, number, true);
  packet[5] = kind;
  for (let i = 0; i < name.length; i++) packet[TOPIC_NAME_AT + i] = name.charCodeAt(i);
  return packet;
}

/** Null when it is none. */
export function decodeTopic(
  packet: Uint8Array,
): { readonly number: number; readonly kind: 0 | 1 | 2; readonly name: string } | null {
  if (packet.length < TOPIC_NAME_AT || packet[0] !== Retold.topic || (packet[5] as number) > 2) return null;
  let name = '';
  for (const byte of packet.subarray(TOPIC_NAME_AT)) name += String.fromCharCode(byte);
  const number = new DataView(packet.buffer, packet.byteOffset).getUint32(1, true);
  return { number, kind: packet[5] as 0 | 1 | 2, name };
}

/** @param numbers at most `NUMBERS_MAX` */
export function encodeNumbers(what: Numbered, numbers: readonly number[]): Uint8Array {
  const packet = new Uint8Array(1 + numbers.length * 4);
  packet[0] = what;
  const view = new DataView(packet.buffer);
  for (const [i, number] of numbers.entries()) view.setUint32(1 + i * 4, number, true);
  return packet;
}

export function decodeNumbers(packet: Uint8Array): number[] {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  return Array.from({ length: Math.floor((packet.length - 1) / 4) }, (_, i) => view.getUint32(1 + i * 4, true));
}
