# What the benches with a real Kafka share, beside tests/real/lib.sh. Sourced with `set -euo pipefail` in force, at the root of
# the repository.
. tests/real/lib.sh
target=${CARGO_TARGET_DIR:-target}

# A directory and a Kafka for the bench: leaves `work` and `brokers`. At its end, whatever it is, the processes in `service`, `services`
# and `load` are killed, Kafka is stopped, and the directory goes.
begin() {
    local port
    work=$(mktemp -d) service= services=() load=
    trap clean EXIT
    port=$(free_port)
    tests/real/kafka.sh start "$work/kafka" "$port"
    brokers=127.0.0.1:$port
}
clean() {
    local process
    for process in $service "${services[@]}" $load; do kill -KILL "$process" 2> /dev/null || true; done
    tests/real/kafka.sh stop "$work/kafka" || true
    rm -rf "$work"
}

# Builds what is named (arguments of cargo) unless BUILT=1 says that it was done.
build() { [ -n "${BUILT:-}" ] || cargo build --release --locked "$@"; }

# The newest release build of a bench.
bench_binary() {
    find "$target/release/deps" -maxdepth 1 -name "$1-*" -type f -perm -u+x -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2
}

# The sum of a metric over its labels, of the service at an address.
metric() { # ADDRESS NAME
    { curl -fs "http://$1/metrics" || true; } | awk -v name="callpulse_$2" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}

# CPU-seconds of a process so far, user and system.
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($14 + $15) / hz }' "/proc/$1/stat"; }

# Waits until a process has ended, and leaves its last CPU-seconds in `used`, the most memory that it had in `most` (MiB).
outlast() {
    local now
    while [ -d "/proc/$1" ] && [ "$(cut -d' ' -f3 "/proc/$1/stat" 2> /dev/null)" != Z ]; do
        # A process that is ending has nothing left to tell of: the last figures stay.
        now=$(cpu "$1" 2> /dev/null) || true
        used=${now:-${used:-}}
        now=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$1/status" 2> /dev/null) || true
        most=${now:-${most:-}}
        sleep 0.05
    done
    wait "$1"
}

# Reads a topic from its beginning into an empty lake with `callpulse run`, until so many records are consumed, and stops it.
# Leaves `consuming` and `lasting` (seconds from the start until all was consumed, and until all was durable), `used` (CPU-seconds
# of the process, with its last commit and snapshot) and `most` (MiB). More arguments go to `callpulse run`.
read_through() { # BROKERS TOPIC RECORDS LAKE MORE...
    local brokers=$1 topic=$2 records=$3 lake=$4 http began
    shift 4
    http=127.0.0.1:$(free_port)
    began=$(date +%s.%N) most= used=
    CALLPULSE_LOG=warn "$callpulse" run --data-dir "$lake" --http "$http" --pg 127.0.0.1:0 --flight 127.0.0.1:0 \
        --set kafka.brokers="$brokers" --set "kafka.group=$(basename "$lake")" --set "kafka.topics=[{name=\"$topic\"}]" \
        --set kafka.dead_letter_topic= "$@" &
    service=$!
    until curl -fs -o /dev/null "http://$http/healthz"; do kill -0 "$service" || fail "the service has ended"; sleep 0.05; done
    while [ "$(metric "$http" records_consumed_total)" -lt "$records" ]; do
        kill -0 "$service" || fail "the service has ended"
        sleep 0.2
    done
    consuming=$(since "$began")
    open=$(metric "$http" open_contacts)
    kill -TERM "$service"
    outlast "$service"
    service=
    lasting=$(since "$began")
}

# Seconds since a moment of `date +%s.%N`.
since() { awk -v began="$1" -v now="$(date +%s.%N)" 'BEGIN { printf "%.2f", now - began }'; }
