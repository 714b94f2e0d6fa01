/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two containers of a pod say to each other by System V and POSIX IPC, which no tool of a small image speaks. Built statically by
 * 16-pods.bats and run in containers. Exit status 1, with the error, when there is nobody to talk to.
 *
 *     ipc sem-make KEY VALUE | sem-take KEY | sem-value KEY
 *     ipc shm-write NAME TEXT | shm-read NAME          (shm_open)
 *     ipc msg-send NAME TEXT | msg-receive NAME        (mq_open)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

#define SIZE 4096

static int failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int semaphore(const char *verb, key_t key, const char *value)
{
	int make = strcmp(verb, "sem-make") == 0;
	int id = semget(key, 1, make ? IPC_CREAT | IPC_EXCL | 0600 : 0);
	if (id < 0)
		return failed("semget");
	if (make)
		return semctl(id, 0, SETVAL, atoi(value)) < 0 ? failed("semctl") : 0;
	if (strcmp(verb, "sem-take") == 0) {
		struct sembuf take = { 0, -1, IPC_NOWAIT };
		return semop(id, &take, 1) < 0 ? failed("semop") : 0;
	}
	printf("%d\n", semctl(id, 0, GETVAL));
	return 0;
}

static int memory(const char *verb, const char *name, const char *text)
{
	int write = strcmp(verb, "shm-write") == 0;
	int fd = shm_open(name, write ? O_RDWR | O_CREAT : O_RDWR, 0600);
	if (fd < 0)
		return failed("shm_open");
	if (write && ftruncate(fd, SIZE) < 0)
		return failed("ftruncate");
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return failed("mmap");
	if (write)
		snprintf(p, SIZE, "%s", text);
	else
		printf("%s\n", p);
	return 0;
}

static int message(const char *verb, const char *name, const char *text)
{
	char buffer[SIZE] = "";
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = SIZE };
	int send = strcmp(verb, "msg-send") == 0;
	mqd_t queue = send ? mq_open(name, O_WRONLY | O_CREAT, 0600, &attr) : mq_open(name, O_RDONLY | O_NONBLOCK);
	if (queue < 0)
		return failed("mq_open");
	if (send)
		return mq_send(queue, text, strlen(text) + 1, 0) < 0 ? failed("mq_send") : 0;
	if (mq_receive(queue, buffer, sizeof(buffer), NULL) < 0)
		return failed("mq_receive");
	printf("%s\n", buffer);
	return 0;
}

int main(int argc, char **argv)
{
	const char *value = argc > 3 ? argv[3] : "0";
	if (argc < 3)
		return 2;
	if (strncmp(argv[1], "sem-", 4) == 0)
		return semaphore(argv[1], (key_t)strtol(argv[2], NULL, 0), value);
	return strncmp(argv[1], "shm-", 4) == 0 ? memory(argv[1], argv[2], value) : message(argv[1], argv[2], value);
}
