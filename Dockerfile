ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS builder
COPY requirements.txt .
# --only-binary: an image without compilers cannot build from source, so it shall not try.
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --no-compile --only-binary=:all: -r requirements.txt \
    && python -m compileall -q --invalidation-mode unchecked-hash /venv
WORKDIR /app
COPY *.py .flaskenv ./
COPY alerts/ alerts/
COPY commands/ commands/
COPY infobip/ infobip/
COPY sandbox/ sandbox/
COPY settings/ settings/
COPY spending/ spending/
COPY telemetry/ telemetry/
COPY web/ web/
# The bytecode is made here: the container has no right to write it, and by hash no file date can make it stale.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON_IMAGE}
COPY --from=builder /venv /venv
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os, sys, http.client; c = http.client.HTTPConnection('127.0.0.1', int(os.getenv('PORT') or 3000), timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "gunicorn.conf.py"]
