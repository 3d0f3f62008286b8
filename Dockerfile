# The gateway with its embedded engines, and the control API. Redis and PostgreSQL come from outside, see compose.yaml.
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY voicegate voicegate
COPY gateway gateway
COPY pipeline pipeline
COPY codecs codecs
COPY sessions sessions
COPY console console
COPY control_api control_api
COPY prisma/migrations prisma/migrations
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libflite1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/voicegate voicegate
COPY --from=build /venv /venv
USER voicegate
WORKDIR /var/lib/voicegate
# Listening beyond loopback means that every call needs a token: set VOICEGATE_TOKEN_SECRET or VOICEGATE_API_KEYS.
ENV PATH=/venv/bin:$PATH VOICEGATE_HOST=0.0.0.0 VOICEGATE_LOG_FORMAT=json
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["voicegate", "serve"]
