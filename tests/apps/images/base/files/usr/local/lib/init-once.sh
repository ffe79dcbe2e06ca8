# shellcheck shell=bash
# Sourced by the entrypoints of the databases.

log() { echo "entrypoint: $*" >&2; }

die() {
    log "$*"
    exit 1
}

# init_once DIR BUILD [ARG...]: calls "BUILD STAGE ARG..." to make a database in
# STAGE, an empty directory below DIR, and then moves the result into DIR. Call
# it when DIR has no database yet, or unfinished_init says so.
#
# It may be killed at any moment and called again. Killed while building, it
# starts over; killed while moving, it moves the rest. What it did not put
# there itself it neither overwrites nor removes.
init_once() {
    local dir=$1 build=$2
    local stage=$dir/.init ready=$dir/.init-ready
    shift 2
    # As process 1 of a container, bash would ignore these.
    trap 'exit 143' TERM INT
    if [[ ! -d $ready ]]; then
        rm -rf "$stage"
        mkdir -m 700 "$stage"
        "$build" "$stage" "$@"
        mv -T "$stage" "$ready"
    fi
    shopt -s dotglob nullglob
    local built=("$ready"/*)
    if ((${#built[@]})); then
        mv --no-clobber -t "$dir" "${built[@]}"
    fi
    rmdir "$ready"
}

# unfinished_init DIR: has an init_once of DIR been killed?
unfinished_init() {
    [[ -d $1/.init || -d $1/.init-ready ]]
}
