# shellcheck shell=bash
# Promises: how MariaDB is started and asked: durable, utf8mb4, and deaf to the machine's own
# configuration of it. root has no password: it listens on loopback, and holds test data only.

mariadb_template() {
  echo "$cache/mariadb-$(mariadbd --version | awk '{ print $3 }')"
}

mariadb_launch() {
  local data=$stores/mariadb/data
  if [ ! -e "$data" ]; then
    rm -rf "$data.new"
    cp --recursive --reflink=auto "$(mariadb_template)" "$data.new"
    mv "$data.new" "$data"
  fi
  # Room for a million orders, and for the redo of a minute of them: with less, what is measured is
  # how pages are thrown out and read again, as no server for orders would be set up. The memory is
  # taken as it is used.
  # A path to a socket may have a hundred characters, and this clone's may have more; one that isn't
  # absolute lies in the data directory.
  launch mariadb mariadbd --no-defaults --user="$(id -un)" --datadir="$data" \
    --bind-address=127.0.0.1 --port="$1" --socket=socket --pid-file=mariadbd.pid \
    --character-set-server=utf8mb4 --max-connections=500 \
    --innodb-buffer-pool-size=512M --innodb-log-file-size=256M
}

mariadb_answers() {
  timeout 2 mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port="$1" --user=root \
    --execute='DO 1' 2>/dev/null
}
