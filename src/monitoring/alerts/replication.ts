/** Alerts about replicas, from redis_exporter. */
import { type AlertList, type AlertOf, of } from './alert.js';

const REPLICA = '{{ $labels.slave_ip }}:{{ $labels.slave_port }}';

export const replicationAlerts: AlertList = ({ redisExporterPort, replicasPerMaster, thresholds }) => {
  if (redisExporterPort === undefined) return [];
  const missing: AlertOf = {
    name: 'RedisReplicasMissing',
    severity: 'warning',
    expression: `${of('redis_connected_slaves')} + on (cluster, instance) group_left () 0 * ${of('redis_instance_info', 'role="master"')} < ${replicasPerMaster}`,
    lasting: '5m',
    summary: `Master {{ $labels.instance }} has {{ $value }} of ${replicasPerMaster} replicas`,
    description:
      'When it fails now, nobody may be there to take over. Start the replica that is down, or add one: forge scale add --role replica.',
  };
  return [
    {
      name: 'RedisReplicationBroken',
      severity: 'critical',
      expression: `${of('redis_master_link_up')} == 0`,
      lasting: '1m',
      summary:
        'Replica {{ $labels.instance }} has no link to its master {{ $labels.master_host }}:{{ $labels.master_port }}',
      description:
        'Its data grows old, and a failover to it would lose what it has missed. Look at its log for masterauth, TLS, the network, or a full synchronisation that fails again and again.',
    },
    {
      name: 'RedisReplicationLag',
      severity: 'warning',
      expression: `${of('redis_connected_slave_lag_seconds')} > ${thresholds.replication_lag / 1000}`,
      lasting: '2m',
      summary: `Replica ${REPLICA} of {{ $labels.instance }} is {{ $value | humanizeDuration }} behind`,
      description:
        'A failover now would lose the writes of that time. Look at the network between both and the load of the replica.',
    },
    {
      name: 'RedisReplicationBacklogTooSmall',
      severity: 'warning',
      expression: `${of('redis_connected_slave_offset_bytes')} < on (cluster, instance) group_left () (${of('redis_master_repl_offset')} - ${of('redis_replication_backlog_bytes')})`,
      lasting: '2m',
      summary: `Replica ${REPLICA} is further behind {{ $labels.instance }} than the backlog reaches`,
      description:
        'When its link breaks now, it has to copy everything anew. Raise repl-backlog-size, and look why it is behind.',
    },
    ...(replicasPerMaster === 0 ? [] : [missing]),
  ];
};
