# SPDX-License-Identifier: Apache-2.0
# Network namespaces of the test's own: a pod's, as an engine prepares it, and a peer's on the other end of the wire. Nothing is made in
# the host's own namespace.

# $NS and $PEER, joined by eth0 and peer0: 10.77.0.2/24 and fd77::2/64 in the pod's, .1 and ::1 in the peer's.
setup_net() {
	NS=hull$$n$BATS_TEST_NUMBER PEER=hull$$p$BATS_TEST_NUMBER
	ip netns add "$NS"
	ip netns add "$PEER"
	ip -n "$NS" link set lo up
	ip -n "$PEER" link set lo up
	wire eth0 peer0
	ip -n "$PEER" addr add 10.77.0.1/24 dev peer0
	ip -n "$PEER" addr add fd77::1/64 dev peer0 nodad
	ip -n "$NS" addr add 10.77.0.2/24 brd + dev eth0
	ip -n "$NS" addr add fd77::2/64 dev eth0 nodad
	ip -n "$NS" route add default via 10.77.0.1
	ip -n "$NS" route add default via fd77::1
}

# wire NAME PEERNAME: another pair of interfaces between the two, up.
wire() {
	ip -n "$NS" link add "$1" type veth peer name "$2" netns "$PEER"
	ip -n "$PEER" link set "$2" up
	ip -n "$NS" link set "$1" up
}

teardown_net() {
	local ns
	for ns in $(ip netns list | awk -v mine="^hull$$[np]$BATS_TEST_NUMBER" '$1 ~ mine { print $1 }'); do
		# shellcheck disable=SC2046  # none is fine
		kill -9 $(ip netns pids "$ns") 2>/dev/null || true
		ip netns del "$ns"
	done
}

# The bundle on the Debian tree, in the pod's namespace.
net_bundle() {
	config --arg path "$DEBIAN_TREE" --arg ns "/run/netns/$NS" '.root.path = $path | .root.readonly = false |
		(.linux.namespaces[] | select(.type == "network")).path = $ns'
}

# caps NAME...: capabilities in all sets.
caps() {
	local c
	for c in "$@"; do config --arg c "CAP_$c" '.process.capabilities[] |= (. + [$c] | unique)'; done
}

peer() { ip netns exec "$PEER" "$@"; }
guest() { hull exec "$ID" "$@"; }

# What the namespace or the guest has, in one form: addresses OF…, routes OF…, where OF is a command that runs `ip`.
addresses() {
	"$@" -j addr | jq -cS '[.[] | select(.ifname | startswith("hull-") | not) | {ifname, mtu, address, addrs: ([.addr_info[] |
		{family, local, address, prefixlen, scope, broadcast}] | sort_by(.local))}] | sort_by(.ifname) | .[]'
}

routes() {
	{ "$@" -j route show table all; "$@" -j -6 route show table all; } | jq -cS -s 'add | [.[] | select(.table != "local") |
		{type, dst, gateway, via, dev, metric, protocol, scope, prefsrc, table,
			hops: ([.nexthops // [] | .[] | {gateway, dev, weight}] | sort)}] | unique | .[]'
}

neighbours() {
	"$@" -j neigh show nud permanent | jq -cS '[.[] | {dst, dev, lladdr}] | sort | .[]'
}

in_ns() { ip -n "$NS" "$@"; }
in_guest() { guest ip "$@"; }

# The guest has what the namespace has.
same_addresses() { diff <(addresses in_ns) <(addresses in_guest); }
same_routes() { diff <(routes in_ns) <(routes in_guest); }
same_neighbours() { diff <(neighbours in_ns) <(neighbours in_guest); }
same_network() { same_addresses && same_routes && same_neighbours; }

# A server in a namespace or in the guest that says a line to each who connects: TALK.
TALK='import socket, sys
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, _ = s.accept()
    c.sendall(b"hello from " + sys.argv[2].encode() + b"\n")
    c.close()'
LISTEN='import socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
print(c.makefile().readline().strip())'

# Nothing of Hull's is in the namespace: no tap, no discipline.
net_is_clean() {
	[ -z "$(ip -n "$NS" -o link | grep hull-)" ] && [ -z "$(tc -n "$NS" qdisc show | grep -E 'ingress|tbf|484c')" ]
}
