#!/usr/bin/env bash
# A real Kafka 4.1 on one node, from Maven Central, for checks.
#
#   kafka.sh start DIR PORT   start it with its data and log under DIR, listening on 127.0.0.1:PORT; returns when it answers
#   kafka.sh stop DIR         stop it (SIGTERM, then SIGKILL after 20 s)
#   kafka.sh kill DIR         kill it as a crash would
#   kafka.sh topic DIR NAME PARTITIONS [CONFIG=VALUE]...
#   kafka.sh widen DIR NAME PARTITIONS       more partitions for a topic
#   kafka.sh cut DIR NAME PARTITION OFFSET   delete the records before this offset, as retention does
#
# Needs a JDK 17 and Maven. The jars (43 MiB) are kept in ~/.cache/callpulse/kafka.
set -euo pipefail

version=4.1.0
jars=${XDG_CACHE_HOME:-$HOME/.cache}/callpulse/kafka/$version

fail() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
    [ -e "$jars/with-tools" ] && return
    local build
    build=$(mktemp -d)
    cat > "$build/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>callpulse</groupId><artifactId>kafka-for-checks</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
    mkdir -p "$jars"
    mvn -q -B -f "$build/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" -DincludeScope=runtime > "$build/log" 2>&1 \
        || { cat "$build/log" >&2; fail "Maven cannot fetch Kafka"; }
    rm -r "$build"
    touch "$jars/with-tools"
}

run_class() { # HEAP CLASS ARGUMENTS...
    local heap=$1
    shift
    java "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*" "$@"
}

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

start() {
    local dir=$1 port=$2
    fetch
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    answers "$port" && fail "something listens on port $port already"
    echo "$port" > "$dir/port"
    cat > "$dir/kafka.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# Simulated days lie in the past, and Kafka judges age by the records' own time.
log.retention.ms=-1
log.retention.check.interval.ms=5000
PROPERTIES
    cat > "$dir/log4j2.yaml" <<LOG
Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout: { pattern: "%d %p %m (%c{1})%n" }
  Loggers:
    Root: { level: WARN, AppenderRef: { ref: out } }
LOG
    if [ ! -e "$dir/data/meta.properties" ]; then
        run_class 128m kafka.tools.StorageTool format --standalone -t "$(run_class 128m kafka.tools.StorageTool random-uuid 2> /dev/null)" \
            -c "$dir/kafka.properties" > "$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; fail "storage not formatted"; }
    fi
    # Its own session: a signal to this script's group does not reach it.
    setsid java -Xms256m -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$dir/log4j2.yaml" -cp "$jars/*" \
        kafka.Kafka "$dir/kafka.properties" >> "$dir/kafka.log" 2>&1 < /dev/null &
    echo $! > "$dir/pid"
    for _ in $(seq 600); do
        kill -0 "$(cat "$dir/pid")" 2> /dev/null || { tail -n 30 "$dir/kafka.log" >&2; fail "Kafka ended while it started"; }
        answers "$port" && return
        sleep 0.1
    done
    tail -n 30 "$dir/kafka.log" >&2
    fail "Kafka does not answer on port $port after 60 s"
}

stop() { # DIR SIGNAL
    [ -e "$1/pid" ] || return 0
    local pid
    pid=$(cat "$1/pid")
    kill "-$2" "$pid" 2> /dev/null || true
    for _ in $(seq 200); do
        kill -0 "$pid" 2> /dev/null || { rm -f "$1/pid"; return 0; }
        sleep 0.1
    done
    kill -KILL "$pid" 2> /dev/null || true
    rm -f "$1/pid"
}

topic() {
    local dir=$1 name=$2 partitions=$3 settings=()
    shift 3
    for setting in "$@"; do settings+=(--config "$setting"); done
    run_class 128m -Dlog4j2.configurationFile="$dir/log4j2.yaml" org.apache.kafka.tools.TopicCommand \
        --bootstrap-server "127.0.0.1:$(cat "$dir/port")" \
        --create --topic "$name" --partitions "$partitions" --replication-factor 1 "${settings[@]}" > /dev/null
}

widen() {
    run_class 128m -Dlog4j2.configurationFile="$1/log4j2.yaml" org.apache.kafka.tools.TopicCommand \
        --bootstrap-server "127.0.0.1:$(cat "$1/port")" --alter --topic "$2" --partitions "$3" > /dev/null
}

cut_topic() {
    printf '{"version":1,"partitions":[{"topic":"%s","partition":%d,"offset":%d}]}' "$2" "$3" "$4" > "$1/cut.json"
    run_class 128m -Dlog4j2.configurationFile="$1/log4j2.yaml" org.apache.kafka.tools.DeleteRecordsCommand \
        --bootstrap-server "127.0.0.1:$(cat "$1/port")" --offset-json-file "$1/cut.json" > /dev/null
}

case ${1:-} in
    start) [ $# -eq 3 ] || fail "usage: start DIR PORT"; start "$2" "$3" ;;
    stop) [ $# -eq 2 ] || fail "usage: stop DIR"; stop "$2" TERM ;;
    kill) [ $# -eq 2 ] || fail "usage: kill DIR"; stop "$2" KILL ;;
    topic) [ $# -ge 4 ] || fail "usage: topic DIR NAME PARTITIONS"; shift; topic "$@" ;;
    widen) [ $# -eq 4 ] || fail "usage: widen DIR NAME PARTITIONS"; widen "$2" "$3" "$4" ;;
    cut) [ $# -eq 5 ] || fail "usage: cut DIR NAME PARTITION OFFSET"; cut_topic "$2" "$3" "$4" "$5" ;;
    *) fail "start, stop, kill, topic, widen or cut?" ;;
esac
