#!/usr/bin/env bash
# Asks a server everything that its own description says, and more: `tests/schema/run.sh target/debug/trae`.
#
# What it sends are also shell commands, clicks and process ids, so the server runs as nobody where this is root, on a desktop and in a
# folder of its own.
set -euo pipefail

binary=$(realpath "${1:?the binary of the server}")
here=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$here/../.." && pwd)/target
venv=$target/schema-venv

if ! "$venv/bin/python" -c 'import schemathesis' 2>/dev/null; then
    echo "==> installing $(grep -v '^#' "$here/requirements.txt") into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi

work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

install -m 0755 "$binary" "$work/trae"
mkdir "$work/data"
as=()
if [ "$(id -u)" = 0 ]; then
    chown -R 65534:65534 "$work"
    as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cd "$work"
"${as[@]}" env -i PATH="$PATH" HOME="$work" LANG=C.UTF-8 LOG_LEVEL=warn DISPLAY_MODE=virtual DATA_DIR="$work/data" PORT="$port" \
    "$work/trae" serve >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    curl -fsS "http://127.0.0.1:$port/api/health/" >/dev/null 2>&1 && break
    sleep 0.1
done

status=0
SCHEMATHESIS_HOOKS="$here/hooks.py" "$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "http://127.0.0.1:$port/openapi.json" --no-color \
    --report-dir "$work/report" "${@:2}" || status=$?
# What it did to the server matters as much as what it heard.
if ! curl -fsS --max-time 5 "http://127.0.0.1:$port/api/health/" >/dev/null; then
    echo "the server did not survive:" >&2
    status=1
fi
if [ "$status" != 0 ]; then
    tail -n 50 "$work/log" >&2
fi
exit "$status"
