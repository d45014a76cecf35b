# One image for worker, API, migrations and simulator; the command says which.
FROM python:3.12-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src

# The locked requirements first: they change less often than the code.
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements.lock
# What builds our own package is locked too, and stays behind in this stage.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && pip install --require-hashes -r build.lock

COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /venv/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.12-slim

ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Named volumes mounted here take over this owner.
RUN useradd --system --uid 10001 --no-create-home claimdesk \
    && install -d -o claimdesk -m 0700 /data /identity
COPY --from=build /venv /venv
WORKDIR /app
COPY worker.py ./

USER claimdesk
CMD ["claimdesk", "--help"]
