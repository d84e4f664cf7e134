/** Nodes as operators name them: by id, by the beginning of an id, or by address. Pure. */
import { type ClusterNode, nodeAddress } from '../../cluster/cluster-node.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef } from '../step.js';

/** Shorter beginnings are refused: what is one node today could be another tomorrow. */
const ID_BEGINNING_MIN = 6;
const NAMED_MAX = 8;

export function refOf(snapshot: ClusterSnapshot, id: string): NodeRef {
  return { id, address: snapshot.addressOf(id) };
}

/** `a, b, c and 4 more`: lists in messages have a bound. */
export function listed(names: readonly string[], max = NAMED_MAX): string {
  const more = names.length - max;
  return `${names.slice(0, max).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Words of a list that were separated by commas or blanks, in their order, each once. */
export function splitWords(words: readonly string[]): string[] {
  return [...new Set(words.flatMap((word) => word.split(/[\s,]+/)).filter((word) => word !== ''))];
}

/** Those words that are addresses: the session looks at them, so that a node is found under any name of it. */
export function addressWords(words: readonly string[]): string[] {
  return words.filter((word) => word.includes(':'));
}

type Names = ReadonlyMap<string, ReadonlySet<string>>;

/** Names by id of all members that some node has in its table; dead ones may be in the tables of a few only. */
function namesOf(snapshot: ClusterSnapshot): Names {
  const names = new Map<string, Set<string>>();
  const add = (id: string, ...more: string[]) => {
    const known = names.get(id) ?? new Set();
    for (const name of more) known.add(name);
    names.set(id, known);
  };
  const addNode = (node: ClusterNode) => add(node.id, nodeAddress(node), nodeAddress({ ...node, hostname: undefined }));
  const { topology } = snapshot;
  for (const node of topology.nodes) addNode(node);
  for (const { view } of snapshot.reports) {
    // Who is in the picture that most share is named by that: a large cluster has millions of entries in all tables.
    for (const node of view.nodes) if (topology.node(node.id) === undefined) addNode(node);
  }
  for (const { id, ip, port, address, myself } of snapshot.reports) {
    addNode(myself);
    add(id, address.toLowerCase(), nodeAddress({ ip, port }));
  }
  return names;
}

/**
 * The id of the member that is meant.
 * @param names those of the snapshot, where several words are looked up
 * @throws ForgeError `usage` when nobody or more than one is, with the members' names
 */
export function chooseNode(snapshot: ClusterSnapshot, word: string, names: Names = namesOf(snapshot)): string {
  const text = word.toLowerCase();
  const byId = [...names.keys()].filter((id) => text.length >= ID_BEGINNING_MIN && id.startsWith(text));
  const found = byId.length > 0 ? byId : [...names].filter(([, known]) => known.has(text)).map(([id]) => id);
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (found.length > 1) return newest(snapshot, word, found);
  const stranger = snapshot.strangers.find(({ id, address }) => id === text || address.toLowerCase() === text);
  if (stranger !== undefined) {
    throw new ForgeError('refused', `${word} is no member of this cluster.`, {
      host: stranger.address,
      next: ['Check which cluster --seed leads to.', 'Was it removed before? forge audit tells.'],
    });
  }
  const numeric = { numeric: true };
  const known = snapshot.topology.nodes
    .map(({ id }) => snapshot.addressOf(id))
    .sort((left, right) => left.localeCompare(right, 'en', numeric));
  throw new ForgeError('usage', `${word} is no node of this cluster.`, {
    next: `Name a node by its id or its address: ${listed(known)}.`,
  });
}

/** A dead node and its successor may have the same address: the one that answers there is meant. */
function newest(snapshot: ClusterSnapshot, word: string, ids: readonly string[]): string {
  const [answering, ...others] = ids.filter((id) => snapshot.report(id) !== undefined);
  if (answering !== undefined && others.length === 0) return answering;
  throw new ForgeError('usage', `${word} may be any of ${ids.length} nodes.`, {
    next: `Name it by its id: ${ids.slice(0, NAMED_MAX).join(', ')}.`,
  });
}

/** The ids of all words, each once. @throws ForgeError like `chooseNode` */
export function chooseNodes(snapshot: ClusterSnapshot, words: readonly string[]): string[] {
  const names = namesOf(snapshot);
  return [...new Set(splitWords(words).map((word) => chooseNode(snapshot, word, names)))];
}
