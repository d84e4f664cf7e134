# The proxy as a container image. Build it in a folder that holds the executable:
#
#   docker build -f templates/proxy.Dockerfile -t forge-proxy bin
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v "$PWD/proxy.yaml:/etc/forge-proxy/proxy.yaml:ro" -p 6379:6379 forge-proxy
#
# The base needs nothing but glibc 2.28 or newer.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY forge-proxy /usr/local/bin/forge-proxy
LABEL org.opencontainers.image.title="RedisForge proxy" \
      org.opencontainers.image.description="One endpoint in front of a Redis Cluster" \
      org.opencontainers.image.licenses="MIT"
# An ordinary user: nothing in the image is its own, and it writes nowhere.
USER 10001:10001
EXPOSE 6379
# The admin address of the configuration; change both together.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/forge-proxy", "--health-check", "127.0.0.1:9901"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/forge-proxy"]
CMD ["--config", "/etc/forge-proxy/proxy.yaml"]
