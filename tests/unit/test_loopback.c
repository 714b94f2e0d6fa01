/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to localhost in a network namespace come to one socket outside of it, but for those to a name server there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/loopback.h"
#include "net/netns.h"
#include "net/resolver.h"

#define PORT 4321

static int raise_lo(void *data, struct hull_error *err)
{
	struct ifreq request = { .ifr_name = "lo" };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)data;
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return hull_error_errno(err, errno, "lo");
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? hull_error_errno(err, errno, "lo") : 0;
}

/* Connects to the address in `data`; the socket, or -errno. */
static int connect_inside(void *data, struct hull_error *err)
{
	const char *address = data;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	(void)err;
	assert_int_equal(inet_pton(AF_INET, address, &v4.sin_addr), 1);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&v4, sizeof(v4)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void one_socket_hears_all_of_localhost(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_loopback loopback = HULL_LOOPBACK_NONE;
	(void)state;
	if (geteuid() != 0)
		skip();
	_cleanup_close_ int netns = hull_netns_new(&err);
	assert_true(netns >= 0);
	assert_int_equal(hull_netns_inside(netns, raise_lo, NULL, &err), 0);
	if (hull_loopback_open(netns, &loopback, &err) < 0) {
		print_message("%s\n", err.message);
		skip();
	}
	_cleanup_close_ int client = hull_netns_inside(netns, connect_inside, (char *)"127.0.0.1", &err);
	assert_true(client >= 0);
	_cleanup_close_ int accepted = accept4(loopback.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	assert_int_equal(hull_loopback_port(accepted), PORT);

	hull_loopback_close(&loopback);
	assert_int_equal(hull_netns_inside(netns, connect_inside, (char *)"127.0.0.1", &err), -ECONNREFUSED);
}

/* A server of `*type` at 127.0.0.11:53, as an engine's; the socket, or -errno. */
static int serve_names(void *data, struct hull_error *err)
{
	const int *type = data;
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(HULL_RESOLVER_PORT),
					     .sin_addr.s_addr = htonl(HULL_RESOLVER_ADDRESS) };
	(void)err;
	_cleanup_close_ int fd = socket(AF_INET, *type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || (*type == SOCK_STREAM && listen(fd, 1) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static void a_name_server_in_the_namespace_is_found_and_asked(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_loopback loopback = HULL_LOOPBACK_NONE;
	char text[4] = "";
	(void)state;
	if (geteuid() != 0)
		skip();
	_cleanup_close_ int netns = hull_netns_new(&err);
	assert_true(netns >= 0);
	assert_int_equal(hull_netns_inside(netns, raise_lo, NULL, &err), 0);
	assert_false(hull_resolver_present(netns));
	_cleanup_close_ int server = hull_netns_inside(netns, serve_names, &(int){ SOCK_DGRAM }, &err);
	assert_true(server >= 0);
	assert_true(hull_resolver_present(netns));
	_cleanup_close_ int client = hull_resolver_connect(netns, false, &err);
	assert_int_equal(send(client, "ask", 3, 0), 3);
	assert_int_equal(recv(server, text, sizeof(text), 0), 3);

	/* Over TCP too, though connections to localhost go elsewhere. */
	if (hull_loopback_open(netns, &loopback, &err) < 0)
		skip();
	_cleanup_close_ int listener = hull_netns_inside(netns, serve_names, &(int){ SOCK_STREAM }, &err);
	assert_true(listener >= 0);
	_cleanup_close_ int connection = hull_resolver_connect(netns, true, &err);
	assert_true(connection >= 0);
	_cleanup_close_ int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	hull_loopback_close(&loopback);
}

static int note_namespace(void *data, struct hull_error *err)
{
	(void)err;
	return stat("/proc/thread-self/ns/net", data);
}

static void the_caller_stays_where_it_is(void **state)
{
	struct hull_error err = HULL_ERROR_INIT;
	struct stat before, inside, after;
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(note_namespace(&before, &err), 0);
	_cleanup_close_ int netns = hull_netns_new(&err);
	assert_true(netns >= 0);
	assert_int_equal(hull_netns_inside(netns, note_namespace, &inside, &err), 0);
	assert_int_equal(note_namespace(&after, &err), 0);
	assert_true(before.st_ino == after.st_ino && before.st_ino != inside.st_ino);
	assert_int_equal(hull_netns_inside(STDIN_FILENO, note_namespace, &inside, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_socket_hears_all_of_localhost),
		cmocka_unit_test(a_name_server_in_the_namespace_is_found_and_asked),
		cmocka_unit_test(the_caller_stays_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
