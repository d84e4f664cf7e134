/** Envoy configurations as people have them. */

/** Envoy before 1.18, in the words that articles of that time use: three servers behind Maglev. */
export const ARTICLE = `
admin:
  access_log_path: "/dev/null"
  address:
    socket_address:
      protocol: TCP
      address: 0.0.0.0
      port_value: 8001
static_resources:
  listeners:
  - name: redis_listener
    address:
      socket_address:
        address: 0.0.0.0
        port_value: 6379
    filter_chains:
    - filters:
      - name: envoy.redis_proxy
        config:
          stat_prefix: egress_redis
          cluster: redis_cluster
          settings:
            op_timeout: 5s
  clusters:
  - name: redis_cluster
    connect_timeout: 1s
    type: strict_dns # static
    lb_policy: MAGLEV
    load_assignment:
      cluster_name: redis_cluster
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: envoy_redis_1, port_value: 6379 } } }
        - endpoint: { address: { socket_address: { address: envoy_redis_2, port_value: 6379 } } }
        - endpoint: { address: { socket_address: { address: envoy_redis_3, port_value: 6379 } } }
`;

export const INLINE_SECRETS = ['clients-s3cret', 'older-s3cret', 'nodes-s3cret', 'aws-s3cret'];

/** Everything that a Redis Cluster behind Envoy can have, much of which is not here. */
export const CLUSTER = `
node:
  id: proxy-1
  locality: { zone: eu-1a }
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 9901 } }
static_resources:
  listeners:
  - name: metrics
    address: { socket_address: { address: 0.0.0.0, port_value: 8080 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager }
  - name: redis
    address: { socket_address: { address: 0.0.0.0, port_value: 6380 } }
    per_connection_buffer_limit_bytes: 1048576
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      filters:
      - name: envoy.filters.network.local_ratelimit
        typed_config: { "@type": type.googleapis.com/x.LocalRateLimit, stat_prefix: limited }
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: egress.redis
          downstream_auth_username: { inline_string: app }
          downstream_auth_passwords:
          - inline_string: clients-s3cret
          - filename: /run/secrets/clients
          - environment_variable: CLIENTS_PASSWORD
          downstream_auth_password: { inline_bytes: older-s3cret }
          latency_in_micros: true
          faults:
          - fault_type: ERROR
            fault_enabled: { default_value: { numerator: 1, denominator: HUNDRED } }
          settings:
            op_timeout: 0.25s
            enable_redirection: true
            enable_hashtagging: true
            enable_command_stats: true
            max_buffer_size_before_flush: 1024
            read_policy: AZ_AFFINITY
            max_upstream_unknown_connections: 10
            connection_rate_limit: { connection_rate_limit_per_sec: 7 }
          prefix_routes:
            case_insensitive: true
            routes:
            - prefix: 'a:'
              cluster: main
              remove_prefix: true
              key_formatter: '{x}%KEY%'
              request_mirror_policy:
              - cluster: copy
                exclude_read_commands: true
                runtime_fraction: { default_value: { numerator: 2500, denominator: TEN_THOUSAND }, runtime_key: k }
              - cluster: dynamic
              read_command_policy: { cluster: copy }
            - prefix: 'b:'
              cluster: main
              key_formatter: '%KEY%-%DOWNSTREAM_REMOTE_ADDRESS%'
            catch_all_route: { cluster: main }
  clusters:
  - name: main
    cluster_type:
      name: envoy.clusters.redis
      typed_config:
        "@type": type.googleapis.com/google.protobuf.Struct
        value:
          cluster_refresh_rate: 10s
          cluster_refresh_timeout: 4s
          redirect_refresh_interval: 0s
          redirect_refresh_threshold: 1
    lb_policy: CLUSTER_PROVIDED
    dns_lookup_family: V4_ONLY
    load_assignment:
      cluster_name: main
      endpoints:
      - locality: { zone: eu-1a }
        lb_endpoints:
        - endpoint: { address: { socket_address: { address: 10.0.1.10, port_value: 7000 } } }
        - endpoint: { address: { socket_address: { address: '::1', port_value: 7001 } } }
    typed_extension_protocol_options:
      envoy.filters.network.redis_proxy:
        "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions
        auth_username: { inline_string: proxy }
        auth_password: { inline_string: nodes-s3cret }
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    health_checks:
    - timeout: 1s
      interval: 5s
      unhealthy_threshold: 3
      healthy_threshold: { value: 1 }
      custom_health_check:
        name: envoy.health_checkers.redis
        typed_config: { "@type": type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis, key: drain }
    - timeout: 1s
      interval: 5s
      tcp_health_check: {}
    outlier_detection: { consecutive_5xx: 7, interval: 4s, max_ejection_percent: { value: 25 } }
    circuit_breakers:
      thresholds:
      - { max_connections: 100, max_retries: { value: 5 } }
      - { priority: HIGH, max_connections: 10 }
  - name: copy
    connect_timeout: 0.5s
    type: STATIC
    load_balancing_policy:
      policies:
      - typed_extension_config:
          name: envoy.load_balancing_policies.ring_hash
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash
            minimum_ring_size: 2048
            hash_function: MURMUR_HASH_2
    load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 10.0.2.1, port_value: 6379 } } }
          load_balancing_weight: 256
        - endpoint: { address: { socket_address: { address: 10.0.2.2, port_value: 6379 } } }
          load_balancing_weight: { value: 512 }
      - priority: 1
        lb_endpoints:
        - endpoint: { address: { socket_address: { address: 10.0.2.3, port_value: 6379 } } }
    typed_extension_protocol_options:
      envoy.filters.network.redis_proxy:
        "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions
        auth_password: { filename: /run/secrets/copy }
        aws_iam: { cache_name: aws-s3cret }
  - name: dynamic
    type: EDS
  - name: unused
    type: STATIC
`;
