/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "net/netns.h"

/* The table of a namespace with many sockets is longer, and is then not one of a pod. */
#define TABLE_MAX (1u << 20)

/*
 * A line is "slot: LOCAL:PORT REMOTE:PORT …", addresses as the hexadecimal of a word in memory. Source: proc(5), /proc/net/udp.
 */
static bool is_servers(const char *line)
{
	unsigned local, port, remote, remote_port;
	return sscanf(line, " %*u: %8x:%4x %8x:%4x", &local, &port, &remote, &remote_port) == 4 && local == htonl(HULL_RESOLVER_ADDRESS) &&
	       remote == 0;
}

static int look(void *data, struct hull_error *err)
{
	bool *present = data;
	_cleanup_free_ char *table = NULL;
	int r = hull_file_read(AT_FDCWD, "/proc/thread-self/net/udp", TABLE_MAX, &table, NULL);
	if (r < 0)
		return hull_error_errno(err, r, "/proc/thread-self/net/udp");
	for (char *line = table, *next; line && !*present; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		*present = is_servers(line);
	}
	return 0;
}

bool hull_resolver_present(int netns_fd)
{
	bool present = false;
	return hull_netns_inside(netns_fd, look, &present, NULL) == 0 && present;
}

static int connect_inside(void *data, struct hull_error *err)
{
	const bool *tcp = data;
	const struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(HULL_RESOLVER_PORT),
					    .sin_addr.s_addr = htonl(HULL_RESOLVER_ADDRESS) };
	_cleanup_close_ int fd = socket(AF_INET, (*tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (const struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS))
		return hull_error_errno(err, errno, "connect to the pod's name server");
	return TAKE_FD(fd);
}

int hull_resolver_connect(int netns_fd, bool tcp, struct hull_error *err)
{
	return hull_netns_inside(netns_fd, connect_inside, &tcp, err);
}
