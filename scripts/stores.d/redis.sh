# shellcheck shell=bash
# Promises: how Redis is started and asked. What it acknowledges is on disk a second later.

redis_launch() {
  mkdir -p "$stores/redis/data"
  # Redis would replace its command line by a title, and with it the path that says whose it is.
  launch redis redis-server --set-proc-title no \
    --bind 127.0.0.1 --port "$1" --dir "$stores/redis/data" \
    --save '' --appendonly yes --appendfsync everysec --maxmemory-policy noeviction
}

redis_answers() {
  [ "$(timeout 2 redis-cli -h 127.0.0.1 -p "$1" PING 2>/dev/null)" = PONG ]
}
