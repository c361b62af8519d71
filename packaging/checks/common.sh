# What the checks of this folder share. Their errors end them; this is to be sourced.

server=http://127.0.0.1:5000

step() { echo "-- $*"; }
fail() { echo "${0##*/}: $*" >&2; exit 1; }
is() { # what it is, what it should be, its name
  [ "$1" = "$2" ] || fail "$3 is \"$1\", not \"$2\""
}
await() { # seconds, what is waited for, command
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "waited in vain: $what"
    sleep 0.2
  done
}

# A call of the API at $server with $token. The caller's `at_server` runs a command on the network of the server.
api() { # path, arguments of curl
  local path=$1
  shift
  at_server curl --silent --show-error --fail-with-body --header "Authorization: Bearer token=$token" "$server$path" "$@"
}
waits() { api /api/v1/auth/pending | jq --exit-status '.[0]'; }
has_arrived() { api /api/v1/devices/1 | jq --exit-status '.metadata["rdfm.software.version"] == "v1"' >/dev/null; }

# Has a server without any device let one in and lead it to version v1. The words are the command that is `tender`.
update_a_device() {
  local folder simulation=("$@" simulate --server "$server" --once --interval 1s --version v0)
  folder=$(mktemp -d)
  head --bytes 3000000 /dev/urandom >"$folder/image"
  api /api/v1/packages --form rdfm.hardware.devtype=simulated --form rdfm.software.version=v1 \
    --form "file=@$folder/image" >/dev/null
  "${simulation[@]}" >"$folder/log" 2>&1 &
  await 60 "a device that wants to be let in" waits
  waits | api /api/v1/auth/register --json @- >/dev/null
  wait $! || { cat "$folder/log"; fail "the device was not let in"; }
  api /api/v1/groups --json '{"description": "line 1"}' >/dev/null
  api /api/v1/groups/1/package --json '{"packages": [1]}' >/dev/null
  api /api/v1/groups/1/policy --json '{"policy": "exact_match,v1"}' >/dev/null
  api /api/v1/groups/1/devices --request PATCH --json '{"add": [1], "remove": []}' >/dev/null
  TENDER_TOKEN=$token "${simulation[@]}" >"$folder/log" 2>&1 || { cat "$folder/log"; fail "the device was not updated"; }
  has_arrived || { cat "$folder/log"; fail "the server does not know that the device was updated"; }
  rm -r "$folder"
}
