import { type Allocate, type Bytes, LF, latin1, parseDecimal, writeAscii } from '../bytes.js';

/**
 * A reply as its type and its content, for merges that look inside. Texts are Latin-1, one character a byte, so that
 * binary content comes out as it went in.
 */
export interface Node {
  /** The RESP type byte, as a character. */
  readonly type: string;
  /** Of a scalar; null for RESP2's null. */
  readonly text: string | null;
  /** Of an aggregate; a map's keys and values alternate. */
  readonly items: readonly Node[];
}

/** Nested deeper than this a reply is not looked into; no Redis command comes near it. */
const DEPTH_MAX = 32;

const SCALARS = '+-:,(#_';
const STRINGS = '$=!';
const AGGREGATES = '*~%>';

/** Reads the one whole reply in `bytes[start, end)`; null when it is none, or has types that are not known here. */
export function parseTree(bytes: Uint8Array, start: number, end: number): Node | null {
  const cursor = { at: start };
  const node = parse(bytes, cursor, end, 0);
  return cursor.at === end ? node : null;
}

function parse(bytes: Uint8Array, cursor: { at: number }, end: number, depth: number): Node | null {
  if (depth > DEPTH_MAX || cursor.at >= end) return null;
  const type = String.fromCharCode(bytes[cursor.at]);
  let newline = cursor.at + 1;
  while (newline < end && bytes[newline] !== LF) newline++;
  if (newline >= end) return null;
  const lineStart = cursor.at + 1;
  cursor.at = newline + 1;
  if (SCALARS.includes(type)) return { type, text: latin1(bytes, lineStart, newline - 1), items: [] };
  const length = parseDecimal(bytes, lineStart, newline - 1);
  if (STRINGS.includes(type)) {
    if (length === -1) return { type, text: null, items: [] };
    const from = cursor.at;
    if (!(length >= 0) || from + length + 2 > end) return null;
    cursor.at = from + length + 2;
    return { type, text: latin1(bytes, from, from + length), items: [] };
  }
  if (!AGGREGATES.includes(type)) return null;
  if (length === -1) return { type, text: null, items: [] };
  if (!(length >= 0)) return null;
  const items: Node[] = [];
  for (let left = type === '%' ? length * 2 : length; left > 0; left--) {
    const item = parse(bytes, cursor, end, depth + 1);
    if (item === null) return null;
    items.push(item);
  }
  return { type, text: '', items };
}

/** The reply that a tree stands for. */
export function encodeTree(node: Node, allocate: Allocate): Bytes {
  const text = textOf(node);
  const bytes = allocate(text.length);
  writeAscii(text, bytes, 0);
  return bytes;
}

function textOf({ type, text, items }: Node): string {
  if (SCALARS.includes(type)) return `${type}${text}\r\n`;
  if (text === null) return `${type}-1\r\n`;
  if (STRINGS.includes(type)) return `${type}${text.length}\r\n${text}\r\n`;
  return `${type}${type === '%' ? items.length / 2 : items.length}\r\n${items.map(textOf).join('')}`;
}

export function integer(value: number): Node {
  return { type: ':', text: String(value), items: [] };
}

export function array(items: readonly Node[]): Node {
  return { type: '*', text: '', items };
}

/** The number that a scalar is, in whatever type the server gave it; NaN when it is none. */
export function numberOf(node: Node | undefined): number {
  if (node === undefined || node.text === null || node.text === '' || node.items.length > 0) return Number.NaN;
  return Number(node.text);
}

/** The pairs of a map, or of RESP2's flat array of names and values. */
export function pairsOf(node: Node): [string, Node][] {
  const pairs: [string, Node][] = [];
  for (let i = 0; i + 1 < node.items.length; i += 2) pairs.push([node.items[i].text ?? '', node.items[i + 1]]);
  return pairs;
}
