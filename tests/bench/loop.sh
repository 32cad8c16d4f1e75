#!/usr/bin/env bash
# What a careful person writes who has no gitbatch: one item after the other, each in a worktree of its own, checked,
# committed, merged. Prints for each item the microseconds of its steps: worktree, agent, harvest, merge, clean-up.
#
#   loop.sh WORKTREES AGENT OUTPUT...
set -euo pipefail

worktrees=$1 agent=$2
shift 2

began=${EPOCHREALTIME/./}
step() { # the time since the step before
    local now=${EPOCHREALTIME/./}
    printf '%s ' $((now - began))
    began=$now
}

for output; do
    name=loop/$(basename "$output" .md)-$(basename "$(dirname "$output")")
    place=$worktrees/${name//\//-}
    git worktree add --quiet -b "$name" "$place" HEAD
    step
    mkdir -p "$place/$(dirname "$output")"
    (cd "$place" && sh -c "$agent" sh "$output" "$output")
    step
    [ -s "$place/$output" ] || exit 1
    git -C "$place" add -- "$output"
    git -C "$place" commit --quiet --message "Write $output"
    step
    git merge --quiet --no-ff --message "Merge $output" "$name"
    step
    git worktree remove --force "$place"
    git branch --quiet -D "$name"
    step
    echo
done
