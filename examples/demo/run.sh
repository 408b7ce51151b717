#!/usr/bin/env bash
# The main job, on a machine without a desktop: TRAE opens a virtual one, and examples/workflows/order_form.json fills in the form of
# another program there. Fails loudly when the window did not get the text.
set -euo pipefail
trae=$(realpath "$1")
cd "$(dirname "$0")/../.."
data=$(mktemp -d)
customer='Zoë Müller-Lüdenscheidt'
number='4711'
# What the workflow starts sees the data folder's files/demo, and nothing else of yours.
mkdir -p "$data/files/demo"
cp examples/demo/order-form.sh "$data/files/demo/"
got=$data/files/demo/got.txt
echo "==> filling in an order form on a virtual desktop (data folder $data)"
DATA_DIR=$data DISPLAY_MODE=virtual "$trae" run examples/workflows/order_form.json --table \
    --param customer="$customer" --param number="\"$number\"" \
    --param form="bash demo/order-form.sh demo/got.txt" --param got="demo/got.txt"
if [ "$(cat "$got")" != "$customer|$number" ]; then
    echo "the window got '$(cat "$got")' instead of '$customer|$number'" >&2
    exit 1
fi
echo "==> the window got: $(cat "$got")"
echo "==> the report, and the screen before, filled in and after:"
cat "$data/files/demo/report.md"
ls "$data"/files/demo/*
