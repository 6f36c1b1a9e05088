#!/bin/sh
# Show what the runs below a folder logged for Weights & Biases, in the terminal: runs.sh WANDB FOLDER
set -eu

wandb=$1 runs=$2

[ -t 0 ] && [ -t 1 ] || { echo "make runs draws in a terminal, and this is not one." >&2; exit 1; }

# The viewer reads one folder that holds all runs, and each run has its own.
view=$(mktemp -d)
trap 'rm -rf "$view"' EXIT
find "$runs" -type d -path '*/wandb/*run-[0-9]*' -prune 2>/dev/null | while read -r part; do
    ln -sf "$(cd "$part" && pwd)" "$view/"
done
[ -n "$(ls "$view")" ] || { echo "No run in $runs was logged for Weights & Biases." >&2; exit 1; }
WANDB_ERROR_REPORTING=false "$wandb" leet "$view"
