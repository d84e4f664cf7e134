/** What a restore would do, and what speaks against it. Pure. */
import { formatSlots, hasSlot, intersectSlots, type SlotSet, subtractSlots, unionSlots } from '../../cluster/slots.js';
import type { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import type { BackupManifest, BackupShard } from '../manifest.js';
import { canRead, kindText, type ServerKind } from '../scratch/choose.js';
import { type RestoreParts, shardsOf } from './parts.js';
import type { Selection } from './selection.js';
import type { Survey } from './survey.js';

/** What happens to keys that are there already. */
export type ExistingKeys =
  /** Nothing is restored where the cluster holds any key. */
  | 'refuse'
  /** They stay as they are, and are counted. */
  | 'keep'
  | 'replace';

export interface TargetMaster {
  readonly id: string;
  readonly address: string;
  readonly slots: SlotSet;
  /** Keys that it has now. */
  readonly keys: number;
  readonly server: ServerKind | undefined;
  /** RDB versions that it takes; undefined where it was not asked. */
  readonly accepts: readonly number[] | undefined;
}

export interface RestorePlan {
  readonly backup: {
    readonly cluster: string;
    readonly id: string;
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly servers: readonly string[];
  };
  readonly shards: readonly {
    readonly object: string;
    readonly slots: string;
    readonly keys: number;
    readonly bytes: number;
  }[];
  /** To be restored; of the manifest, and so about, where `counted` is false. */
  readonly keys: number;
  readonly counted: boolean;
  /** Keys whose time has come since the backup: they are left out. */
  readonly expired: number;
  readonly bytes: number;
  readonly masters: readonly {
    readonly id: string;
    readonly address: string;
    readonly slots: string;
    /** Now, and of the backup; undefined where that is not known by slot. */
    readonly keys: number;
    readonly incoming?: number;
  }[];
  /** In the whole cluster, now. */
  readonly existingKeys: number;
  readonly existing: ExistingKeys;
  /** An earlier run of the same restore was ended in the middle. */
  readonly resumed: boolean;
  readonly notes: readonly string[];
}

export interface PlanParts {
  readonly manifest: BackupManifest;
  readonly selection: Selection;
  readonly parts: RestoreParts;
  readonly survey: Survey | undefined;
  readonly topology: Topology;
  readonly masters: readonly TargetMaster[];
  readonly existing: ExistingKeys;
  readonly resumed: boolean;
}

const RANGES_SHOWN = 4;

/** @throws ForgeError `refused` for what cannot be restored there */
export function planRestore(parts: PlanParts): RestorePlan {
  const { manifest, survey, masters, existing, resumed } = parts;
  const shards = servedShards(parts);
  requireSlots(parts);
  requireKnownTypes(parts);
  const existingKeys = masters.reduce((sum, { keys }) => sum + keys, 0);
  if (existingKeys > 0 && existing === 'refuse' && !resumed) throw holdsKeys(masters, existingKeys);
  const counted = survey !== undefined && survey.uncounted.size === 0;
  const bySlot = counted ? survey.bySlot : writtenDown(parts);
  const written = shards.reduce((sum, { keys }) => sum + keys, 0);
  return {
    backup: {
      cluster: manifest.cluster,
      id: manifest.id,
      startedAt: manifest.startedAt,
      finishedAt: manifest.finishedAt,
      servers: [...new Set(shards.map((shard) => kindText(writerOf(shard))))],
    },
    shards: shards.map(({ object, slots, keys }) => ({
      object: object.name,
      slots: formatSlots(slots),
      keys,
      bytes: object.plainBytes,
    })),
    keys: counted ? survey.keys : written,
    counted,
    expired: survey?.expired ?? 0,
    bytes: shards.reduce((sum, { object }) => sum + object.plainBytes, 0),
    masters: masters.map(({ id, address, slots, keys }) => ({
      id,
      address,
      slots: formatSlots(slots),
      keys,
      ...(bySlot === undefined ? {} : { incoming: sumOf(bySlot, slots) }),
    })),
    existingKeys,
    existing,
    resumed,
    notes: notesOf(parts),
  };
}

export const writerOf = ({ source }: BackupShard): ServerKind => ({
  product: source.server === 'valkey' ? 'valkey' : 'redis',
  version: source.version,
});

const servedShards = ({ parts }: Pick<PlanParts, 'parts'>): BackupShard[] => parts.served.map(({ shard }) => shard);

function sumOf(bySlot: ArrayLike<number>, slots: SlotSet): number {
  let sum = 0;
  for (const { start, end } of slots) for (let slot = start; slot <= end; slot++) sum += bySlot[slot] ?? 0;
  return sum;
}

/** By the manifest; a pattern cannot be told from counts. */
function writtenDown({ parts, selection }: PlanParts): ArrayLike<number> | undefined {
  if (selection.options.match !== undefined) return undefined;
  const bySlot = new Float64Array(16_384);
  for (const { shard, wanted } of parts.served) {
    const { slotKeys } = shard;
    if (slotKeys === undefined) return undefined;
    for (const [slot, keys] of slotKeys) {
      const isChosen = selection.options.slots === undefined || hasSlot(selection.options.slots, slot);
      if (wanted[slot] === 1 && isChosen) bySlot[slot] = keys;
    }
  }
  return bySlot;
}

function requireSlots({ selection, parts, topology }: PlanParts): void {
  const wanted = unionSlots(selection.slotsOf(servedShards({ parts })), ...parts.stray.map(({ slots }) => slots));
  const missing = intersectSlots(wanted, topology.uncovered);
  if (missing.length === 0) return;
  throw new ForgeError('refused', `Nobody serves the slots ${formatSlots(missing, RANGES_SHOWN)} that keys go to.`, {
    next: 'Mend the cluster first: forge cluster check, forge cluster fix.',
  });
}

/** Values that a master cannot take: nothing is begun that could not be finished. */
function requireKnownTypes({ survey, masters, parts }: PlanParts): void {
  const problems: string[] = [];
  for (const { address, accepts, server } of masters) {
    if (accepts === undefined || survey === undefined) continue;
    const refused = [...survey.versions].filter(([version]) => !accepts.includes(version));
    if (refused.length === 0) continue;
    const keys = refused.reduce((sum, [, count]) => sum + count, 0);
    const versions = refused.map(([version]) => version).sort((a, b) => a - b);
    const kind = server === undefined ? 'its version' : kindText(server);
    problems.push(`${address} (${kind}) takes no values of RDB version ${versions.join(', ')}: ${keys} keys have such`);
  }
  if (problems.length === 0) return;
  const [shard] = shardsOf(parts);
  throw new ForgeError('refused', `The cluster cannot take all of the backup:\n  ${problems.join('\n  ')}`, {
    next: `Restore into ${shard === undefined ? 'a newer server' : kindText(writerOf(shard))} or newer, or other keys only (--match).`,
    details: { problems },
  });
}

function holdsKeys(masters: readonly TargetMaster[], keys: number): ForgeError {
  const shown = masters.filter((master) => master.keys > 0).map((master) => `${master.address}: ${master.keys}`);
  return new ForgeError('refused', `The cluster holds ${keys} keys (${shown.slice(0, 6).join(', ')}).`, {
    host: masters.find((master) => master.keys > 0)?.address,
    next: [
      'Restore into an empty cluster,',
      'or add --keep-existing to leave keys that are there as they are, or --replace to put those of the backup in their place.',
    ],
    details: { keys },
  });
}

function notesOf({ manifest, parts, survey, masters, selection, topology }: PlanParts): string[] {
  const notes: string[] = [];
  const shards = servedShards({ parts });
  for (const { address, slots, reason } of manifest.missing) {
    notes.push(`The backup is without ${address} (${formatSlots(slots, RANGES_SHOWN)}): ${reason}.`);
  }
  if (manifest.moving.length > 0) {
    const moving = formatSlots(manifest.moving, RANGES_SHOWN);
    notes.push(
      `Slots ${moving} were on their way during the backup: a key of these may be in it twice, or not at all. Of two, that of the shard that served the slot is taken.`,
    );
  }
  if (survey !== undefined && survey.stray > 0) {
    notes.push(`${survey.stray} keys of these are in other shards: those that are nowhere else are restored as well.`);
  }
  if (survey !== undefined && survey.leftOut > 0) {
    notes.push(`${survey.leftOut} keys of slots that their shard did not serve are left out.`);
  }
  for (const [object, reason] of survey?.uncounted ?? []) {
    notes.push(`${object} is loaded by a server of this host first: ${reason}.`);
  }
  const writers = shards.map(writerOf);
  const kinds = new Map(masters.flatMap(({ server }) => (server === undefined ? [] : [[kindText(server), server]])));
  for (const [text, server] of kinds) {
    const others = [...new Set(writers.filter((writer) => !canRead(server, writer)).map(kindText))];
    if (others.length > 0) {
      notes.push(
        survey === undefined
          ? `${text} may refuse values of ${others.join(', ')}: that was not looked at.`
          : `${text} is no successor of ${others.join(', ')}; it knows all values that are in the backup.`,
      );
    }
  }
  if (survey?.databases.some((database) => database > 0)) {
    notes.push(
      `Keys of the databases ${survey.databases.join(', ')}: the cluster must have as many (cluster-databases).`,
    );
  }
  const empty = subtractSlots([{ start: 0, end: 16_383 }], selection.slotsOf(shards));
  if (selection.isAll && empty.length > 0 && topology.uncovered.length === 0) {
    notes.push(`The backup has nothing for the slots ${formatSlots(empty, RANGES_SHOWN)}.`);
  }
  return notes;
}
