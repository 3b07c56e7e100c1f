#!/bin/sh
# requirements/install.sh BIN PYTHON FILE [OPTION...]: installs FILE, by its hashes, into the environment of PYTHON.
#
# uv does it, in two seconds; it is kept in the folder BIN. Where there is no uv for this machine, or it fails, the pip of the
# Python in BIN does, in a minute: proxies, certificates and indexes can be set for pip in ways that uv does not read.
set -eu
bin=$1 python=$2 file=$3
shift 3

# An environment without a pip uses the wheel of it that Python brings: it takes longer to install it than to use it once.
wheel=$("$bin/python" -c '
import glob, importlib.util, sysconfig
if not importlib.util.find_spec("pip"):
    import ensurepip
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or ensurepip.__path__[0] + "/_bundled"
    print(*glob.glob(folder + "/pip-*.whl")[-1:])')

pip() { PYTHONPATH=$wheel "$bin/python" -m pip --disable-pip-version-check "$@"; }

get_uv() {
    sed -n '/^uv==/,/# via/p' "$(dirname "$0")/tools.txt" |
        pip --quiet install --require-hashes --no-deps --only-binary=:all: -r /dev/stdin 2>/dev/null
}

index() { pip config list | sed -nE "s/^(global|install)\.index-url='(.*)'$/\2/p" | tail -1; }

by_uv() {
    index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(index)}}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    # The system's certificates, as pip has them. What does not answer soon, pip may reach in another way.
    UV_SYSTEM_CERTS=true UV_HTTP_CONNECT_TIMEOUT=5 UV_HTTP_RETRIES=1 \
        "$bin/uv" pip install --quiet --python "$python" --require-hashes "$@" -r "$file"
}

{ [ -x "$bin/uv" ] || get_uv; } && by_uv "$@" && exit
echo "uv cannot install $file here, so pip does. That takes about a minute." >&2
pip --quiet --python "$python" install --require-hashes "$@" -r "$file"
