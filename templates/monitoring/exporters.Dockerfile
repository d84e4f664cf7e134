# The exporters of Redis and of hosts as two images, from Debian's packages:
#
#   docker build -f templates/monitoring/exporters.Dockerfile --target redis-exporter -t redisforge/redis-exporter templates/monitoring
#   docker build -f templates/monitoring/exporters.Dockerfile --target node-exporter -t redisforge/node-exporter templates/monitoring
#
# docs/monitoring.md has their arguments.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS redis-exporter
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates prometheus-redis-exporter \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
# `nobody`: it only asks.
USER 65534:65534
EXPOSE 9121
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/prometheus-redis-exporter"]

FROM ${BASE} AS node-exporter
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus-node-exporter \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
# `nobody`: it only reads.
USER 65534:65534
EXPOSE 9100
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/prometheus-node-exporter"]
