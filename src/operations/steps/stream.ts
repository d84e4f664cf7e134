/** Whether a replica has its master's stream, and not only its data set. Pure. */
import { infoNumber } from '../../cluster/parse-info.js';

/** A replica acknowledges once a second; what only reads along, such as `redis-cli --replica`, never does. */
const ACKNOWLEDGES_MS = 3_000;

type Info = ReadonlyMap<string, string>;

/**
 * The master holds its clients' writes while the replica reads the rest of its stream: so that rest must be read in a
 * fraction of a second.
 */
export const LAG_MAX_BYTES = 8 * 1024 * 1024;

/**
 * Follows one replica over several looks.
 *
 * After a whole data set that was sent without a disk, a master sends nothing more before the replica's next
 * acknowledgement, which comes once a second (`repl_start_cmd_stream_on_ack` in Redis's replication.c); the replica calls its
 * link up meanwhile, and the master calls it online. A failover in that second holds the clients' writes until then.
 */
export class StreamWatch {
  #read: number | undefined;
  /** Since when some replica of the master has not acknowledged, milliseconds. */
  #silentSinceMs: number | undefined;

  /**
   * Why a failover would hold writes longer than it takes, in words; undefined when it would not.
   * @param master its INFO replication, asked for before that of the replica
   * @param nowMs of a clock that never goes back
   */
  fault(master: Info, replica: Info, nowMs: number): string | undefined {
    const before = this.#read;
    const [written, read] = [
      infoNumber(master, 'master_repl_offset') ?? 0,
      infoNumber(replica, 'slave_repl_offset') ?? 0,
    ];
    this.#read = read;
    this.#silentSinceMs = isUnacknowledged(master) ? (this.#silentSinceMs ?? nowMs) : undefined;
    if (replica.get('master_link_status') !== 'up') return 'its link to the master is down';
    if (replica.get('master_sync_in_progress') === '1') return 'it receives the whole data set at the moment';
    if (written - read > LAG_MAX_BYTES) return `it is ${written - read} bytes behind the master`;
    if (nowMs - (this.#silentSinceMs ?? Number.NEGATIVE_INFINITY) < ACKNOWLEDGES_MS)
      return 'a replica of its master has not acknowledged anything yet';
    // One that reads is some bytes behind all the time, at another place at each look.
    if (written > read && read === before) return 'what the master writes does not reach it';
    return written > read && before === undefined ? `it is ${written - read} bytes behind the master` : undefined;
  }
}

/** Which of its replicas a line is about cannot be told by an address: they may come by another one than the cluster has. */
function isUnacknowledged(master: Info): boolean {
  const lines = [...master].filter(([name]) => /^slave\d+$/.test(name)).map(([, line]) => line.split(','));
  return lines.some((fields) => fields.includes('state=online') && fields.includes('offset=0'));
}
