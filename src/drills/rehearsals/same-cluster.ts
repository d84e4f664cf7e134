/** Proves that clients of an endpoint reach the cluster that is about to be disturbed, and no other. */
import { randomBytes } from 'node:crypto';
import { keySlot } from '../../cluster/key-slot.js';
import { hasSlot, type SlotSet } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { ClusterSession } from '../../operations/session.js';
import { type Endpoint, isLink, type Link, type Refusal } from '../link/link.js';

/** Of 16,384 slots even one is found among so many keys, all but certainly. */
const ATTEMPTS_MAX = 1_000_000;
/** For a run that is ended in between, milliseconds. */
const EXPIRES_MS = '60000';

/**
 * Writes a key for every master through the endpoint, and reads it at the master.
 * @throws ForgeError `unreachable` and `denied` for the endpoint; `refused` when it is another cluster's, or a node
 */
export async function requireSameCluster(endpoint: Endpoint, session: ClusterSession): Promise<void> {
  const found = await endpoint.connect();
  if (!isLink(found)) throw noEntry(endpoint, found);
  const prefix = `forge-drill:look:${randomBytes(4).toString('hex')}:`;
  const written: string[] = [];
  try {
    for (const { master } of session.snapshot.topology.shards) {
      if (master.slots.length === 0) continue;
      const key = keyIn(master.slots, prefix);
      await write(endpoint, found, key);
      written.push(key);
      const value = await (await session.pool.get(master.id)).call('GET', key);
      if (value !== key) throw another(endpoint, session);
    }
  } finally {
    if (written.length > 0) await found.send(written.map((key) => ['UNLINK', key]));
    found.close();
  }
}

/** A key of one of these slots. Pure. */
export function keyIn(slots: SlotSet, prefix: string): string {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const key = `${prefix}${attempt}`;
    if (hasSlot(slots, keySlot(Buffer.from(key)))) return key;
  }
  throw new RangeError('no key of these slots was found');
}

async function write(endpoint: Endpoint, link: Link, key: string): Promise<void> {
  const [outcome] = await link.send([['SET', key, key, 'PX', EXPIRES_MS]]);
  if (outcome?.ok) return;
  if (outcome?.kind === 'MOVED' || outcome?.kind === 'ASK') {
    throw new ForgeError('refused', `${endpoint.label} is a node of a cluster, and no proxy.`, {
      host: endpoint.label,
      next: 'Name the proxy that applications use: --endpoint HOST:PORT.',
    });
  }
  throw noEntry(endpoint, outcome ?? { ok: false, kind: 'closed', message: 'no answer', certain: false });
}

function noEntry({ label }: Endpoint, { kind, message }: Refusal): ForgeError {
  const denied = ['NOAUTH', 'WRONGPASS', 'NOPERM'].includes(kind);
  return new ForgeError(denied ? 'denied' : 'unreachable', `${label} does not take clients: ${message}.`, {
    host: label,
    next: denied
      ? 'Say as whom applications log in: --endpoint-username, --endpoint-password-file.'
      : 'Name the proxy that applications use: --endpoint HOST:PORT.',
  });
}

function another({ label }: Endpoint, { cluster }: ClusterSession): ForgeError {
  return new ForgeError('refused', `${label} leads to another cluster than the one at ${cluster}.`, {
    host: label,
    next: 'Name the proxy in front of this one: --endpoint HOST:PORT.',
  });
}
