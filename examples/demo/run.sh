#!/usr/bin/env bash
# The main job, on a machine without a desktop: TRAE opens a virtual one, and examples/workflows/order_form.json fills in the form of
# another program there. Fails loudly when the window did not get the text.
set -euo pipefail
trae=$(realpath "$1")
cd "$(dirname "$0")/../.."
data=$(mktemp -d)
customer='Zoë Müller-Lüdenscheidt'
number='4711'
echo "==> filling in an order form on a virtual desktop (data folder $data)"
DATA_DIR=$data DISPLAY_MODE=virtual "$trae" run examples/workflows/order_form.json --table \
    --param customer="$customer" --param number="\"$number\"" \
    --param form="bash $PWD/examples/demo/order-form.sh $data/got.txt" --param got="$data/got.txt"
if [ "$(cat "$data/got.txt")" != "$customer|$number" ]; then
    echo "the window got '$(cat "$data/got.txt")' instead of '$customer|$number'" >&2
    exit 1
fi
echo "==> the window got: $(cat "$data/got.txt")"
echo "==> the report, and the screen before, filled in and after:"
cat "$data/files/demo/report.md"
ls "$data"/files/demo/*
