#!/usr/bin/env bash
# Goes through the last stage of the Dockerfile without Docker: its packages in a fresh Debian, the binary, its user, its settings, its
# health check. Needs root, debootstrap and the binary to try; takes a few minutes and about 1 GB in the folder given.
#
#   sudo examples/docker/rehearse.sh target/release/trae /tmp/trae-rehearsal
set -euo pipefail

binary=$(realpath "${1:?the binary to try}")
root=${2:?a folder for the system, which is made anew}
dockerfile=$(dirname "$0")/../../Dockerfile
last=$(awk '/^FROM /{text=""} {text=text $0 "\n"} END{printf "%s", text}' "$dockerfile")
packages=$(printf '%s' "$last" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed -n 's/^RUN .*--no-install-recommends \(.*\) && rm .*/\1/p')
uid=$(printf '%s' "$last" | sed -n 's/^USER \([0-9]*\)$/\1/p')
settings=$(printf '%s' "$last" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed -n 's/^ENV //p')
port=18007

echo "==> a fresh Debian in $root"
rm -rf "$root"
debootstrap --variant=minbase bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null
trap 'umount "$root/proc" "$root/dev/shm" 2>/dev/null || true' EXIT
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" && mount -t tmpfs tmpfs "$root/dev/shm"
cp /etc/resolv.conf "$root/etc/resolv.conf"

echo "==> the packages of the last stage:$packages"
chroot "$root" sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null"
chroot "$root" sh -c "useradd --system --uid $uid --create-home --shell /bin/bash trae && install -d -o trae -g trae -m 0700 /data && install -d -m 1777 /tmp/.X11-unix"
install -m 0755 "$binary" "$root/usr/local/bin/trae"

as_trae() { chroot --userspec="$uid:$uid" "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/trae $settings PORT=$port "$@"; }

echo "==> what the machine has"
as_trae trae doctor || true
key=$(as_trae trae keys create --name rehearsal --scope admin)

echo "==> serving as user $uid"
as_trae tini -- trae serve &
trap 'kill %1 2>/dev/null || true; wait || true; umount "$root/proc" "$root/dev/shm" 2>/dev/null || true' EXIT
check=$(printf '%s' "$last" | sed -n 's/^ *CMD \(\["bash", "-c", .*\]\)$/\1/p' | python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())[2])')
for _ in $(seq 50); do as_trae bash -c "$check" 2>/dev/null && break; sleep 0.2; done
as_trae bash -c "$check"
echo "healthy, as the image's own health check sees it"

ask() { curl -fsS -H "Authorization: Bearer $key" "$@"; }
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$port/api/desktop/info)" = 401
ask "http://127.0.0.1:$port/api/desktop/frame?format=png" -o "$root/desktop.png"
colours=$(python3 - "$root/desktop.png" <<'PY'
import sys, zlib
data = open(sys.argv[1], 'rb').read()
at, pixels = 8, b''
while at < len(data):
    size = int.from_bytes(data[at:at + 4], 'big')
    if data[at + 4:at + 8] == b'IDAT':
        pixels += data[at + 8:at + 8 + size]
    at += 12 + size
print(len(set(zlib.decompress(pixels))))
PY
)
test "$colours" -gt 8 || { echo "the desktop is empty: $root/desktop.png" >&2; exit 1; }
ask -H 'Content-Type: application/json' -d '{"command": "id -u"}' "http://127.0.0.1:$port/api/shell/bash"
echo
echo "==> done; the desktop as it was: $root/desktop.png"
