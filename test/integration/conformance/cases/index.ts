import type { Script } from '../script.js';
import { BLOCKING } from './blocking.js';
import { HASHES, LISTS, SETS, SORTED_SETS, STREAMS } from './collections.js';
import { CONNECTION, SERVER } from './connection.js';
import { KEYS, KEYSPACE } from './keyspace.js';
import { PUB_SUB } from './pubsub.js';
import { FUNCTIONS, SCRIPTS } from './scripting.js';
import { STATE } from './state.js';
import { BITMAPS, GEO, HYPERLOGLOGS, STRINGS } from './strings.js';
import { TRANSACTIONS } from './transactions.js';
import { VECTOR_SETS } from './vectors.js';

/** Commands upon keys that every release has. */
export const DATA_FAMILIES: readonly Script[] = [
  STRINGS,
  BITMAPS,
  HYPERLOGLOGS,
  GEO,
  HASHES,
  LISTS,
  SETS,
  SORTED_SETS,
  STREAMS,
  KEYS,
];

/** One command after another on one connection, from an empty state. They also go in one pipeline. */
export const FAMILIES: readonly Script[] = [
  ...DATA_FAMILIES,
  VECTOR_SETS,
  KEYSPACE,
  SCRIPTS,
  FUNCTIONS,
  CONNECTION,
  SERVER,
];

/** What connections remember, and what they do to each other. */
export const SESSIONS: readonly Script[] = [...TRANSACTIONS, ...BLOCKING, ...PUB_SUB, ...STATE];
