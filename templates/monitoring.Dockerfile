# An exporter, Prometheus or Alertmanager as a container image that needs no root and no capability: Debian's package of
# it, run by an ordinary user.
#
#   docker build -f templates/monitoring.Dockerfile -t redisforge/redis-exporter \
#     --build-arg PROGRAM=prometheus-redis-exporter templates
#
# PROGRAM is prometheus, prometheus-alertmanager, prometheus-redis-exporter or prometheus-node-exporter. The images that
# their authors publish serve as well: name them in forge.yaml.
ARG BASE=debian:trixie-slim
FROM ${BASE}
ARG PROGRAM=prometheus
# Debian's package, where BASE lacks the program.
ARG PACKAGE=${PROGRAM}
USER 0:0
# /usr/local/bin/monitor is the program under one name, and /data a folder that it may write, for a volume.
RUN set -eu; \
    if ! command -v "$PROGRAM" >/dev/null; then \
      export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
      apt-get update -qq; \
      apt-get install -y -qq --no-install-recommends "$PACKAGE"; \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb; \
    fi; \
    ln -sf "$(command -v "$PROGRAM")" /usr/local/bin/monitor; \
    mkdir -p /data; \
    chown 10001:10001 /data; \
    chmod 0700 /data
# A volume over /data takes its owner from here: forge need not see to it.
LABEL io.redisforge.owned="/data" \
      org.opencontainers.image.title="RedisForge monitoring" \
      org.opencontainers.image.description="${PROGRAM} of Debian, run by an ordinary user"
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/monitor"]
