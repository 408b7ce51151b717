#!/usr/bin/env bash
# Goes through the last stage of the Dockerfile without Docker: its packages in a fresh Debian, the binary, its user, its settings, its
# health check, its stop. Needs root, debootstrap, curl, python3 and the binary to try; takes a few minutes and about 1 GB in the folder
# given. MIRROR names a Debian mirror other than deb.debian.org.
#
#   sudo examples/docker/rehearse.sh target/release/trae /tmp/trae-rehearsal
set -euo pipefail

binary=$(realpath "${1:?the binary to try}")
root=$(realpath -m "${2:?a folder for the system, which is made anew}")
cd "$(dirname "$0")/../.."
last=$(awk '/^FROM /{text=""} !/^#/{text=text $0 "\n"} END{printf "%s", text}' Dockerfile | sed -e ':a' -e '/\\$/N; s/\\\n//; ta')
packages=$(sed -n 's/^RUN .*--no-install-recommends \(.*\) && rm .*/\1/p' <<<"$last" | xargs)
# What RUN does beside installing packages.
prepare=$(sed -n 's/^RUN .*rm -rf [^ ]* *&& \(.*\)$/\1/p' <<<"$last")
uid=$(sed -n 's/^USER \([0-9]*\)$/\1/p' <<<"$last")
settings=$(sed -n 's/^ENV //p' <<<"$last")
port=18007

clean() {
    [ -z "${serving:-}" ] || kill "$serving" 2>/dev/null || true
    umount "$root/proc" "$root/dev/shm" "$root/dev/pts" 2>/dev/null || true
}
trap clean EXIT
clean

echo "==> a fresh Debian in $root"
rm -rf --one-file-system "$root"
debootstrap --variant=minbase bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o size=256m tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
cp /etc/resolv.conf "$root/etc/resolv.conf"

echo "==> the packages of the last stage: $packages"
chroot "$root" sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages" >"$root/apt.log" 2>&1 \
    || { cat "$root/apt.log" >&2; exit 1; }
chroot "$root" sh -c "$prepare"
while read -r from to; do
    install -D -m "$(stat -c %a "$from")" "$from" "$root$to"
done < <(sed -n 's/^COPY \([^-].*\)$/\1/p' <<<"$last")
install -m 0755 "$binary" "$root/usr/local/bin/trae"

# Becomes a program that runs as its user, with its settings, without a capability and in a process tree of its own, as the compose file
# has it.
as_trae() {
    exec unshare --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" \
        setpriv --reuid="$uid" --regid="$uid" --clear-groups --no-new-privs --bounding-set=-all \
        env -i -C /home/trae PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/trae $settings PORT=$port "$@"
}

echo "==> what the machine has"
(as_trae trae doctor) || true

echo "==> serving as user $uid"
as_trae tini -- trae serve &
serving=$!
check=$(sed -n 's/^HEALTHCHECK .* CMD \(\["bash", "-c", .*\]\)$/\1/p' <<<"$last" | python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())[2])')
for _ in $(seq 50); do (as_trae bash -c "$check") 2>/dev/null && break; sleep 0.2; done
(as_trae bash -c "$check")
echo "healthy, as the image's own health check sees it"

key=$(as_trae trae keys create --name rehearsal --scope admin 2>/dev/null)
ask() { curl -fsS -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"; }
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$port/api/desktop/info)" = 401

echo "==> typing into the terminal that is to be seen, and reading it"
read_screen() {
    local snapshot
    snapshot=$(ask -d '{"format": "png"}' "http://127.0.0.1:$port/api/snapshots/create" | python3 -c 'import json,sys; print(json.load(sys.stdin)["snapshot_id"])')
    ask -d "{\"snapshot_id\": \"$snapshot\", \"zones\": [{\"id\": \"all\", \"name\": \"all\", \"x\": 0, \"y\": 0, \"width\": 1920, \"height\": 1080}]}" \
        "http://127.0.0.1:$port/api/snapshots/ocr/execute" | python3 -c 'import json,sys; print(json.load(sys.stdin)["results"][0]["text"])'
}
seen=
for _ in $(seq 30); do seen=$(read_screen); grep -q trae <<<"$seen" && break; sleep 0.5; done
ask -d '{"text": "clear; echo somebody is at home with $((4000 + 711)) windows"}' "http://127.0.0.1:$port/api/automation/keyboard/type" >/dev/null
ask -d '{"key": "enter"}' "http://127.0.0.1:$port/api/automation/keyboard/press" >/dev/null
for _ in $(seq 30); do seen=$(read_screen); grep -q 4711 <<<"$seen" && break; sleep 0.5; done
ask "http://127.0.0.1:$port/api/desktop/frame?format=png" -o "$root/desktop.png"
grep -q 4711 <<<"$seen" || { echo "the terminal is not to be seen in $root/desktop.png, which reads: $seen" >&2; exit 1; }
echo "it reads: $seen"
ask -d '{"command": "id -un"}' "http://127.0.0.1:$port/api/shell/bash"
echo

echo "==> stopping it as a container is stopped"
# The first process of its tree, which is a child of the one that made the tree.
kill -TERM "$(pgrep -P "$serving")"
status=0
wait "$serving" || status=$?
serving=
echo "exit code $status"
test "$status" = 0 || test "$status" = 143
echo "==> done; the desktop as it was: $root/desktop.png"
