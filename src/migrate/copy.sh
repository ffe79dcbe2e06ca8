# Copies /old to /new. $1 is the pass: "first" while the application serves,
# "last" when it has stopped. The last pass also compares.
# The shell handles a signal only between commands and during wait.
trap 'exit 143' TERM INT
run() {
    "$@" &
    wait $!
}

# A log has lines, and the progress of rsync is one line that it overwrites.
report() {
    while sleep 5; do tail -c 120 /tmp/progress | tr '\r' '\n' | tail -n 1; done 2>/dev/null
}

# Copies everything but what belongs to the file system itself: lost+found, and
# SELinux labels, which are those of the mount.
all() {
    rsync -aHAXS --numeric-ids --exclude=/lost+found --filter='-x system.*' \
        --filter='-x security.selinux' "$@" /old/ /new/
}

copy() {
    run all --partial --info=progress2,flist0 $whole "$@" >/tmp/progress
}

differences() {
    run all --dry-run --delete --checksum --itemize-changes >/tmp/differences 2>&1
}

# The number of files and bytes in a directory, as rsync counts them.
count() {
    rsync -an --no-human-readable --stats --exclude=/lost+found "$1/" /tmp/nothing/ |
        while IFS= read -r line; do
            case $line in "Number of files:"* | "Total file size:"*) echo "$line" ;; esac
        done
}

fail() {
    echo "$1"
    exit "$2"
}

# With the whole list of files, the progress has a percentage. For very many files
# the list takes too much memory.
whole=
[ "$(find /old | head -n 1000001 | wc -l)" -gt 1000000 ] || whole=--no-inc-recursive
report &
reporter=$!
trap 'kill "$reporter" 2>/dev/null' EXIT

if [ "$1" = first ]; then
    copy
    code=$?
    case $code in
    0) exit 0 ;;
    # Files that change or vanish meanwhile are left to the last pass.
    23 | 24) echo "rsync ended with $code: the last pass does the rest"; exit 0 ;;
    *) fail "rsync ended with $code" "$code" ;;
    esac
fi

copy --delete || fail "rsync ended with $?" 1
differences || fail "rsync could not compare: $(tail -n 3 /tmp/differences)" 1
if [ -s /tmp/differences ]; then
    echo "some files have the same size and time and different content: copying by checksum"
    copy --delete --checksum || fail "rsync ended with $?" 1
    differences || fail "rsync could not compare: $(tail -n 3 /tmp/differences)" 1
    [ ! -s /tmp/differences ] || fail "old and new volume differ: $(head -n 5 /tmp/differences)" 1
fi
old=$(count /old)
new=$(count /new)
[ -n "$old" ] || fail "rsync could not count" 1
[ "$old" = "$new" ] || fail "old and new volume differ: $old and $new" 1
echo "$new"
echo "$new" >/dev/termination-log
