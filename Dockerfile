# Two images: `gateway`, the service, and `balancer`, which spreads requests over its replicas.
# The build fetches packages, pinned by hash; a running gateway fetches nothing: vocabulary and default model are inside.

FROM python:3.12-slim AS build
COPY requirements.lock /
RUN python3 -m venv /opt/gateway \
 && /opt/gateway/bin/python -m pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: \
      --requirement /requirements.lock

FROM python:3.12-slim AS gateway
RUN groupadd --system --gid 10001 gateway \
 && useradd --system --uid 10001 --gid gateway --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
COPY providers /app/providers
COPY gateway /app/gateway
WORKDIR /app
# No bytecode is written: the root file system may be read-only.
ENV PATH=/opt/gateway/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER gateway
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=2)"]
ENTRYPOINT ["python", "-m", "gateway"]
CMD ["serve", "--config", "/etc/gateway/gateway.yaml", "--host", "0.0.0.0"]

FROM python:3.12-slim AS balancer
RUN apt-get update \
 && apt-get install --yes --no-install-recommends haproxy \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 8080
ENTRYPOINT ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
