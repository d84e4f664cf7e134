# Redis or Valkey as a container image that needs no root, no capability and no writable file system but /data.
#
#   docker build -f templates/redis.Dockerfile -t redisforge/redis:8.0 --build-arg BASE=redis:8.0 --build-arg VERSION=8.0 templates
#   docker build -f templates/redis.Dockerfile -t redisforge/redis:valkey-9.1 \
#     --build-arg BASE=valkey/valkey:9.1 --build-arg PROGRAM=valkey-server --build-arg VERSION=9.1 templates
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v redis-data:/data redisforge/redis:8.0
#
# BASE is any image that has the server, such as an official one, or a Debian one: then the server is Debian's own.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS base
# redis-server or valkey-server.
ARG PROGRAM=redis-server
# Debian's package, where BASE lacks the server.
ARG PACKAGE=${PROGRAM}
USER 0:0
RUN set -eu; \
    if ! command -v "$PROGRAM" >/dev/null; then \
      export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
      apt-get update -qq; \
      apt-get install -y -qq --no-install-recommends "$PACKAGE"; \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb; \
    fi

# The files of BASE alone. Official images declare /data as a volume: that would make a volume without a name for every
# container, and throw away what is set for the folder here.
FROM scratch
COPY --from=base / /
ARG PROGRAM=redis-server
# The build fails when the server is another than this: 8.0 takes every 8.0.x. Any when empty.
ARG VERSION=""
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# One name for either server, so that whatever runs the image need not know which one it is.
RUN set -eu; \
    found=$("$PROGRAM" --version); \
    version=${found#* v=}; \
    version=${version%% *}; \
    case "$version." in \
      "${VERSION:+$VERSION.}"*) ;; \
      *) echo "BASE has $PROGRAM $version, not $VERSION" >&2; exit 3 ;; \
    esac; \
    for part in server cli; do \
      own=$(command -v "${PROGRAM%-server}-$part"); \
      [ "$(command -v "redis-$part" || true)" = "$own" ] || ln -sf "$own" "/usr/local/bin/redis-$part"; \
    done; \
    mkdir -p /data; \
    chown 10001:10001 /data; \
    chmod 0700 /data
# A volume over /data takes its owner from here: forge need not see to it.
LABEL io.redisforge.owned="/data" \
      org.opencontainers.image.title="RedisForge node" \
      org.opencontainers.image.description="Redis or Valkey, run by an ordinary user on a read-only file system" \
      org.opencontainers.image.version="${VERSION}"
WORKDIR /data
# An ordinary user: nothing in the image but /data is its own.
USER 10001:10001
EXPOSE 6379
# It asks over a socket that only this container has: the same for every port, with TLS, and without a password, since
# the answer that one is needed is an answer. redis-cli fails when there is none.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["redis-cli", "-s", "/data/redis.sock", "PING"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["redis-server"]
CMD ["--unixsocket", "/data/redis.sock", "--unixsocketperm", "700"]
