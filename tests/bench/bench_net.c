/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP between a namespace of the host and what runs on the other end of a wire: throughput both ways and requests, said as
 * "bench NAME VALUE". `serve` is the host's end. `client ADDRESS` is a container's; as PID 1 (a bare guest) it is the same, after
 * giving eth0 an address, and it powers the machine off at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 5099
#define SECONDS 2
#define REQUESTS 2000
#define CONNECTIONS 300
#define REQUEST_BYTES 64
#define BARE_ADDRESS "10.99.3.2"
#define BARE_SERVER "10.99.3.1"

/* What the client wants, its first byte. */
enum { UPLOAD = 'u', DOWNLOAD = 'd', ECHO = 'e' };

static char buffer[128 << 10];

static void must(int good, const char *what)
{
	if (!good) {
		printf("failed: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static long long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	must(inet_pton(AF_INET, text, &a.sin_addr) == 1, "address");
	return a;
}

static void no_delay(int fd)
{
	const int on = 1;
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
}

/* ---- the host's end */

static void pour(int fd)
{
	for (long long end = now_us() + SECONDS * 1000000LL; now_us() < end;)
		if (send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL) < 0)
			return;
}

static void answer(int fd)
{
	char what = 0;
	ssize_t n;
	no_delay(fd);
	if (recv(fd, &what, 1, 0) != 1)
		return;
	if (what == DOWNLOAD)
		pour(fd);
	while (what == UPLOAD && recv(fd, buffer, sizeof(buffer), 0) > 0)
		;
	while (what == ECHO && (n = recv(fd, buffer, REQUEST_BYTES, MSG_WAITALL)) == REQUEST_BYTES)
		send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
}

static void serve(void)
{
	const int on = 1;
	struct sockaddr_in a = address_of("0.0.0.0");
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "socket");
	must(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 64) == 0, "listen");
	puts("serving");
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
		answer(fd);
}

/* ---- the other */

static int ask(const struct sockaddr_in *server, char what)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(fd >= 0 && connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0, "connect");
	no_delay(fd);
	must(send(fd, &what, 1, MSG_NOSIGNAL) == 1, "send");
	return fd;
}

/* KiB/s, counted until the server has read all of it. */
static void upload(const struct sockaddr_in *server)
{
	long long begin = now_us(), total = 0;
	int fd = ask(server, UPLOAD);
	for (ssize_t n; now_us() < begin + SECONDS * 1000000LL; total += n)
		must((n = send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL)) > 0, "upload");
	shutdown(fd, SHUT_WR);
	must(recv(fd, buffer, 1, 0) == 0, "end of upload");
	printf("bench out-kibps %lld\n", total * 1000000 / 1024 / (now_us() - begin));
	close(fd);
}

static void download(const struct sockaddr_in *server)
{
	long long begin = now_us(), total = 0;
	int fd = ask(server, DOWNLOAD);
	for (ssize_t n; (n = recv(fd, buffer, sizeof(buffer), 0)) != 0; total += n)
		must(n > 0, "download");
	printf("bench in-kibps %lld\n", total * 1000000 / 1024 / (now_us() - begin));
	close(fd);
}

static void request(int fd)
{
	must(send(fd, buffer, REQUEST_BYTES, MSG_NOSIGNAL) == REQUEST_BYTES, "request");
	must(recv(fd, buffer, REQUEST_BYTES, MSG_WAITALL) == REQUEST_BYTES, "answer");
}

/* Nanoseconds each: on one connection, and with a connection each. */
static void requests(const struct sockaddr_in *server)
{
	int fd = ask(server, ECHO);
	long long begin = now_us();
	for (int i = 0; i < REQUESTS; i++)
		request(fd);
	printf("bench request-ns %lld\n", (now_us() - begin) * 1000 / REQUESTS);
	close(fd);
	begin = now_us();
	for (int i = 0; i < CONNECTIONS; i++) {
		fd = ask(server, ECHO);
		request(fd);
		close(fd);
	}
	printf("bench connection-ns %lld\n", (now_us() - begin) * 1000 / CONNECTIONS);
}

static void measure(const char *server_text)
{
	struct sockaddr_in server = address_of(server_text);
	int fd = ask(&server, ECHO);
	request(fd);                            /* the neighbours know each other now */
	close(fd);
	upload(&server);
	download(&server);
	requests(&server);
	puts("bench over 0");
}

static void configure(void)
{
	struct sockaddr_in own = address_of(BARE_ADDRESS), mask = address_of("255.255.255.0");
	struct ifreq ifr = { .ifr_name = "eth0" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	memcpy(&ifr.ifr_addr, &own, sizeof(own));
	must(fd >= 0 && ioctl(fd, SIOCSIFADDR, &ifr) == 0, "SIOCSIFADDR");
	memcpy(&ifr.ifr_addr, &mask, sizeof(mask));
	must(ioctl(fd, SIOCSIFNETMASK, &ifr) == 0, "SIOCSIFNETMASK");
	ifr.ifr_flags = IFF_UP;
	must(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0, "SIOCSIFFLAGS");
	close(fd);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (getpid() == 1 && argc < 2) {
		configure();
		measure(BARE_SERVER);
		reboot(RB_POWER_OFF);
	} else if (argc == 2 && strcmp(argv[1], "serve") == 0) {
		serve();
	} else if (argc == 3 && strcmp(argv[1], "client") == 0) {
		measure(argv[2]);
	} else {
		return 2;
	}
	return 0;
}
