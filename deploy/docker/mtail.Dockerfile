# Counts the gateway's answers by status code: docker build -f deploy/docker/mtail.Dockerfile .
FROM debian:bookworm-20250811-slim

RUN apt-get update && apt-get install -y --no-install-recommends mtail && rm -rf /var/lib/apt/lists/*
COPY deploy/observability/gateway.mtail /gateway.mtail
USER 101:101
EXPOSE 3903
ENTRYPOINT ["mtail", "-logtostderr", "-emit_prog_label=false", "-progs", "/gateway.mtail", "-logs", "/var/log/usher/access.log"]
