# docker build .                              the service
# docker build --build-arg VARIANT=otel .     the same, with the packages that traces take
# docker build --build-arg VARIANT=sandbox .  the same, with a local Infobip and a Redis: it can be tried out alone
ARG PYTHON_IMAGE=python:3.13-slim
ARG VARIANT=service

FROM ${PYTHON_IMAGE} AS builder
ARG VARIANT
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 UV_NO_CACHE=1
COPY requirements.txt .
COPY requirements/ requirements/
# --only-binary: an image without compilers cannot build from source, so it shall not try. The 41 MB of phonenumbers that
# name cities, carriers and time zones are not used.
RUN python -m venv --without-pip --system-site-packages /installer && python -m venv --without-pip /venv \
    && file=$(if [ "$VARIANT" = service ]; then echo requirements.txt; else echo "requirements/$VARIANT.txt"; fi) \
    && requirements/install.sh /installer/bin /venv/bin/python "$file" --only-binary=:all: \
    && cd /venv/lib/python3.*/site-packages/phonenumbers && rm -r geodata carrierdata tzdata \
    && python -m compileall -q --invalidation-mode unchecked-hash /venv
WORKDIR /app
COPY *.py openapi.yaml .flaskenv ./
COPY cli/ cli/
COPY otp/ otp/
COPY sandbox/ sandbox/
# The bytecode is made here: the container has no right to write it, and by hash no file date can make it stale.
RUN python -m compileall -q --invalidation-mode unchecked-hash .
# `docker run ... check [--strict] [--json]` checks the settings, without a network.
RUN printf '#!/venv/bin/python\nimport sys\nfrom flask.cli import cli\ncli.main(["config", "check", *sys.argv[1:]])\n' \
        > /venv/bin/check \
    && chmod +x /venv/bin/check

# All that runs, in a tree of its own: Python without what installs, teaches and draws, and the libraries that it and the
# packages load (libgcc_s only when a thread ends, so it is in no list). No shell, no package manager.
RUN cd /usr/local/lib/python3.*/ \
    && rm -rf site-packages ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo config-3.* lib-dynload/_tkinter* \
    && python -m compileall -q --invalidation-mode unchecked-hash . \
    && mkdir -p -m 1777 /image/tmp \
    && { find /usr/local /venv -name '*.so*' -o -name valkey-server; readlink -f /usr/local/bin/python3; } \
        | xargs ldd | grep -o '/[^ :]*' | grep -v -e ^/usr/local -e ^/venv | sort -u \
        | xargs cp -L --parents --target-directory /image \
    && cp -L --parents --target-directory /image \
        /lib/*-linux-gnu/libgcc_s.so.1 /etc/ld.so.cache /etc/nsswitch.conf /etc/ssl/certs/ca-certificates.crt \
    && cd / && cp -a --parents --target-directory /image \
        usr/local/bin/python* usr/local/lib/libpython3.* usr/local/lib/python3.* venv app

FROM scratch AS service
COPY --from=builder /image /
WORKDIR /app
ENV PATH=/venv/bin PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os, sys, http.client; b = os.getenv('BIND') or '0.0.0.0'; c = http.client.HTTPConnection('localhost' if b in ('0.0.0.0', '::') else b, int(os.getenv('PORT') or 3000), timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "gunicorn.conf.py"]

FROM service AS otel

# docker run -p 3000:3000 -p 3001:3001 ...: http://localhost:3001 shows the messages. Everything is in memory.
FROM service AS sandbox
ENV BIND=0.0.0.0 SANDBOX_HOST=0.0.0.0
EXPOSE 3001
CMD ["python", "-m", "sandbox"]

FROM ${VARIANT}
