/** Alerts about nodes, slots, memory and clients, from redis_exporter. */
import { type AlertList, of } from './alert.js';

const NODE = '{{ $labels.instance }}';
/** Below it, the ratio says nothing: the process itself is larger than its data. */
const FRAGMENTED_BYTES_MIN = 256 * 2 ** 20;
const OUTPUT_BUFFER_BYTES_MAX = 64 * 2 ** 20;

export const redisAlerts: AlertList = ({ redisExporterPort, thresholds }) =>
  redisExporterPort === undefined
    ? []
    : [
        {
          name: 'RedisDown',
          severity: 'critical',
          expression: `${of('redis_up')} == 0`,
          lasting: '1m',
          summary: `Redis ${NODE} does not answer`,
          description: `The exporter cannot ask ${NODE}. Look whether it runs (forge cluster status), at its log, whether the monitoring user may log in, and whether maxclients leaves the exporter room.`,
        },
        {
          name: 'RedisMetricsAbsent',
          severity: 'critical',
          expression: `absent(${of('redis_up')})`,
          lasting: '5m',
          summary: 'There are no figures of any Redis node of {{ $labels.cluster }}',
          description:
            'Prometheus scrapes no node of {{ $labels.cluster }}: nothing else here could raise an alert. Look at its targets, and at the files in targets/.',
        },
        {
          name: 'RedisRestarted',
          severity: 'warning',
          expression: `resets(${of('redis_uptime_in_seconds')}[15m]) > 0`,
          lasting: '0s',
          summary: `Redis ${NODE} started anew`,
          description: `${NODE} restarted {{ $value }} times within 15 minutes. When nobody did it, look at its log and for a lack of memory on its host.`,
        },
        {
          name: 'ClusterStateFail',
          severity: 'critical',
          expression: `${of('redis_cluster_state')} == 0`,
          lasting: '30s',
          summary: `${NODE} says cluster_state:fail`,
          description: `${NODE} refuses commands because slots are not covered, or because it does not see most masters. Run forge cluster check: it names the nodes and the next step.`,
        },
        {
          name: 'ClusterSlotsNotCovered',
          severity: 'critical',
          expression: `max by (cluster) (${of('redis_cluster_slots_assigned')}) < 16384`,
          lasting: '1m',
          summary: 'Only {{ $value }} of 16384 slots of {{ $labels.cluster }} belong to a node',
          description:
            'Keys of the other slots can neither be read nor written. Run forge cluster check, then forge cluster fix.',
        },
        {
          name: 'ClusterSlotsFailing',
          severity: 'critical',
          expression: `max by (cluster) (${of('redis_cluster_slots_fail')}) > 0`,
          lasting: '30s',
          summary: '{{ $value }} slots of {{ $labels.cluster }} belong to a node that failed',
          description:
            'The masters agree that a master is down, and no replica has taken over. Start the node, or have a replica take over: forge cluster failover --from MASTER --mode force.',
        },
        {
          name: 'ClusterSlotsSuspected',
          severity: 'warning',
          expression: `max by (cluster) (${of('redis_cluster_slots_pfail')}) > 0`,
          lasting: '2m',
          summary: '{{ $value }} slots of {{ $labels.cluster }} belong to a node that some others do not reach',
          description:
            'A part of the nodes does not reach a master. That is the network, or the cluster bus port (10000 above the port), or a node that hangs.',
        },
        {
          name: 'ClusterNodesDisagree',
          severity: 'warning',
          expression: `max by (cluster) (${of('redis_cluster_known_nodes')}) != min by (cluster) (${of('redis_cluster_known_nodes')})`,
          lasting: '10m',
          summary: 'Nodes of {{ $labels.cluster }} do not know the same nodes',
          description:
            'One knows {{ $value }} nodes, another fewer: one was forgotten or joined on a part of them only. Run forge cluster check, then forge cluster forget for the one that is gone.',
        },
        {
          name: 'HighMemoryUsage',
          severity: 'warning',
          expression: `100 * ${of('redis_memory_used_bytes')} / (${of('redis_memory_max_bytes')} > 0) > ${thresholds.memory_percent}`,
          lasting: '5m',
          summary: `Redis ${NODE} uses {{ $value | humanize }} % of maxmemory`,
          description:
            'At 100 % it evicts keys or refuses writes, by its maxmemory-policy. Raise maxmemory, let keys expire, or spread the slots: forge scale add.',
        },
        {
          name: 'RedisMemoryUnlimited',
          severity: 'info',
          expression: `${of('redis_memory_max_bytes')} == 0`,
          lasting: '1h',
          summary: `Redis ${NODE} has no maxmemory`,
          description:
            'It grows until the system ends it. Set maxmemory in forge.yaml, below the memory of its container.',
        },
        {
          name: 'RedisOutOfMemory',
          severity: 'critical',
          expression: `increase(${of('redis_errors_total', 'err="OOM"')}[5m]) > 0`,
          lasting: '1m',
          summary: `Redis ${NODE} refuses writes for lack of memory`,
          description:
            'maxmemory is reached and nothing may be evicted. Raise maxmemory, or set a maxmemory-policy that evicts when this is a cache.',
        },
        {
          name: 'RedisMemoryFragmentation',
          severity: 'warning',
          expression: `${of('redis_mem_fragmentation_ratio')} > 1.5 and ${of('redis_memory_used_bytes')} > ${FRAGMENTED_BYTES_MIN}`,
          lasting: '15m',
          summary: `Redis ${NODE} takes {{ $value | humanize }} times the memory that it uses`,
          description: 'Switch activedefrag on, or restart the node in a quiet hour: forge cluster restart.',
        },
        {
          name: 'RedisEvictions',
          severity: 'warning',
          expression: `rate(${of('redis_evicted_keys_total')}[5m]) > ${thresholds.evictions_per_second}`,
          lasting: '10m',
          summary: `Redis ${NODE} evicts {{ $value | humanize }} keys a second`,
          description:
            'Data does not fit. Raise maxmemory or add masters; for a cache, look at the rate of hits first.',
        },
        {
          name: 'RedisRejectedConnections',
          severity: 'critical',
          expression: `increase(${of('redis_rejected_connections_total')}[5m]) > 0`,
          lasting: '0s',
          summary: `Redis ${NODE} turned clients away`,
          description:
            'maxclients is reached. Let clients go through the proxy, close what leaks, or raise maxclients.',
        },
        {
          name: 'RedisConnectionsNearLimit',
          severity: 'warning',
          expression: `100 * ${of('redis_connected_clients')} / ${of('redis_config_maxclients')} > 80`,
          lasting: '5m',
          summary: `Redis ${NODE} has {{ $value | humanize }} % of the clients that it takes`,
          description: 'Look who they are with CLIENT LIST. Let clients go through the proxy, or raise maxclients.',
        },
        {
          name: 'RedisClientOutputBuffers',
          severity: 'warning',
          expression: `${of('redis_client_recent_max_output_buffer_bytes')} > ${OUTPUT_BUFFER_BYTES_MAX}`,
          lasting: '1m',
          summary: `A client of ${NODE} leaves {{ $value | humanize1024 }}B of replies unread`,
          description:
            'It asks for very much at once, or reads too slowly. CLIENT LIST shows it by its omem; client-output-buffer-limit would end it.',
        },
        {
          name: 'RedisClientMemory',
          severity: 'warning',
          expression: `100 * (${of('redis_mem_clients_normal')} + ${of('redis_mem_clients_slaves')}) / (${of('redis_memory_max_bytes')} > 0) > 20`,
          lasting: '5m',
          summary: `Clients of ${NODE} take {{ $value | humanize }} % of its memory`,
          description:
            'That memory is missing for data. Look for large pipelines and slow readers (CLIENT LIST), and set maxmemory-clients.',
        },
        {
          name: 'RedisSlowlogGrowing',
          severity: 'warning',
          expression: `60 * rate(${of('redis_slowlog_last_id')}[5m]) > ${thresholds.slowlog_per_minute}`,
          lasting: '10m',
          summary: `Redis ${NODE} has {{ $value | humanize }} slow commands a minute`,
          description:
            'Each keeps all other clients of the node waiting. SLOWLOG GET names them; big keys and KEYS are the usual ones.',
        },
      ];
