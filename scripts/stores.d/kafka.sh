# shellcheck shell=bash
# Promises: how Kafka is started and asked: one process is broker and controller (KRaft). It makes no
# topic by itself: a role that finds none has to say so.

kafka_libs() {
  local version
  version=$(sed -n '/kafka_2.13/{n;s/.*<version>\(.*\)<.*/\1/p}' scripts/stores.d/kafka-pom.xml)
  echo "$cache/kafka-$version"
}

kafka_launch() {
  local settings=$stores/kafka/server.properties
  kafka_settings "$1" >"$settings"
  local java=(java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$(kafka_libs)/*")
  if [ ! -e "$stores/kafka/data/meta.properties" ]; then
    # 16 bytes in base64 without padding; the last character holds four bits of zeros.
    local id
    id=$(od --address-radix=n --format=x1 --read-bytes=11 /dev/urandom | tr --delete ' \n')
    "${java[@]}" kafka.tools.StorageTool format --cluster-id "${id:0:21}A" --config "$settings" \
      >"$stores/kafka/log" 2>&1 || give_up "Kafka can't format its storage: $stores/kafka/log"
  fi
  launch kafka "${java[@]}" kafka.Kafka "$settings"
}

# The controller listens on a port too, for nobody but this process.
kafka_settings() {
  mkdir -p "$stores/kafka-controller"
  keep_port kafka-controller
  local controller
  controller=127.0.0.1:$(port_of kafka-controller)
  cat <<C
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$controller
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://$controller
controller.listener.names=CONTROLLER
log.dirs=$stores/kafka/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
C
}

# It listens before it can serve. So it is asked for metadata (request 3, version 0, of no topic):
# the bytes 8 to 11 of the answer count the brokers.
kafka_answers() {
  local brokers
  brokers=$({
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf '\0\0\0\016\0\003\0\0\0\0\0\001\377\377\0\0\0\0' >&3
    timeout 2 head --bytes=12 <&3 | od --address-radix=n --format=u1 --skip-bytes=11
  } 2>/dev/null) && [ "${brokers:-0}" -gt 0 ]
}
