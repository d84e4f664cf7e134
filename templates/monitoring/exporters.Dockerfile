# Both exporters in one image, from Debian's packages:
#
#   docker build -f templates/monitoring/exporters.Dockerfile -t redisforge/exporters templates/monitoring
#
# The program to run is named when a container is started; docs/monitoring.md has the arguments.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus-redis-exporter prometheus-node-exporter \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
# `nobody`: both only read.
USER 65534:65534
EXPOSE 9121 9100
STOPSIGNAL SIGTERM
