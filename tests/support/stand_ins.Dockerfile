# Stand-ins for the images that the repository's files name: where no registry can be reached, the tests' Docker host makes
# them of its own file system. What the repository relies on in the real ones is here; the rest is Debian's.
FROM docker-host AS python
COPY wheels /wheels
# Python where python.org's installer puts it, and a pip (and a uv) that find packages in /wheels alone.
RUN cp -a /usr/lib/python3.* /usr/local/lib/ \
    && cd /usr/local/lib/python3.* && rm -f EXTERNALLY-MANAGED sitecustomize.py && mkdir -p dist-packages site-packages \
    && sed -i "s/prefix_scheme = 'posix_local'/prefix_scheme = 'posix_prefix'/" sysconfig/__init__.py \
    && cp /usr/bin/python3.[0-9]* /usr/local/bin/ && cd /usr/local/bin && ln -s python3.[0-9]* python3 && ln -s python3 python \
    && touch /usr/local/lib/libpython3.so-is-in-python3 \
    && python -m zipfile -e /usr/share/python-wheels/pip-*.whl /usr/local/lib/python3.*/dist-packages \
    && printf '#!/bin/sh\nexec python -m pip "$@"\n' > pip && chmod +x pip \
    && printf '[global]\nno-index = true\nfind-links = /wheels\n' > /etc/pip.conf \
    && mkdir -p /etc/uv && printf 'no-index = true\nfind-links = ["/wheels"]\n' > /etc/uv/uv.toml
CMD ["python3"]

FROM docker-host AS redis
# Redis gives up root once the volume is its own, and takes clients from the containers' network.
RUN printf '%s\n' '#!/bin/sh' \
        '[ "$1" = redis-server ] || exec "$@"' \
        '[ "$(id -u)" != 0 ] || { chown -R redis . && exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"; }' \
        'exec "$@" --protected-mode no' > /usr/local/bin/docker-entrypoint.sh \
    && chmod +x /usr/local/bin/docker-entrypoint.sh
WORKDIR /data
VOLUME /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]

FROM docker-host AS nginx
RUN ln -sf /dev/stderr /var/log/nginx/error.log && ln -sf /dev/stdout /var/log/nginx/access.log
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
