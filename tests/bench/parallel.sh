#!/usr/bin/env bash
# The naive loop: several items at the same time, each in a worktree of its own. One merge at a time, as git wants it.
#
#   parallel.sh WORKTREES AGENT JOBS OUTPUT...
set -euo pipefail

export worktrees=$1 agent=$2
jobs=$3
shift 3

again() { # git fails where it meets a worktree that is just being added or removed, or a ref that is locked
    local tries=0
    until "$@"; do
        [ $((++tries)) -lt 50 ] || return 1
    done
}

work() {
    local output=$1 name place
    name=loop/$(basename "$output" .md)-$(basename "$(dirname "$output")")
    place=$worktrees/${name//\//-}
    again git worktree add --quiet -B "$name" "$place" HEAD
    mkdir -p "$place/$(dirname "$output")"
    (cd "$place" && sh -c "$agent" sh "$output" "$output")
    git -C "$place" add -- "$output"
    git -C "$place" commit --quiet --message "Write $output"
    again flock .git/bench-merge git merge --quiet --no-ff --message "Merge $output" "$name"
    again git worktree remove --force "$place"
    again git branch --quiet -D "$name"
}
export -f again work

printf '%s\n' "$@" | xargs -P "$jobs" -I '{}' bash -euo pipefail -c 'work "$1"' bash '{}'
