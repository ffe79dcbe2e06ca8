# Copies /old to /new; $1 is the pass: "first" while the application serves,
# "last" when it has stopped. The last one compares, too.
# A signal is heard only between commands, and during wait.
trap 'exit 143' TERM INT
run() {
    "$@" &
    wait $!
}

# A log is written line by line, and progress is one line that is written over.
report() {
    while sleep 5; do tail -c 120 /tmp/progress | tr '\r' '\n' | tail -n 1; done 2>/dev/null
}

# Names of lists are left out of none but what belongs to the file system
# itself: its labels are those of the mount.
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

# What rsync itself counts in a directory.
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

# With the whole list in hand progress has a percentage; of very many files it
# takes too much memory.
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
    # Files that change or vanish meanwhile are the business of the last pass.
    23 | 24) echo "rsync ended with $code: the last pass does the rest"; exit 0 ;;
    *) fail "rsync ended with $code" "$code" ;;
    esac
fi

copy --delete || fail "rsync ended with $?" 1
differences || fail "rsync could not compare: $(tail -n 3 /tmp/differences)" 1
if [ -s /tmp/differences ]; then
    echo "size and time were the same, and the content was not: copying by checksum"
    copy --delete --checksum || fail "rsync ended with $?" 1
    differences || fail "rsync could not compare: $(tail -n 3 /tmp/differences)" 1
    [ ! -s /tmp/differences ] || fail "they differ: $(head -n 5 /tmp/differences)" 1
fi
old=$(count /old)
new=$(count /new)
[ -n "$old" ] || fail "rsync could not count" 1
[ "$old" = "$new" ] || fail "they differ: $old and $new" 1
echo "$new"
echo "$new" >/dev/termination-log
