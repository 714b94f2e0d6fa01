/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs expect of files, beyond oddities.c: says what the file system of the working directory answered, so that two of them
 * can be compared. Built statically by 17-storage.bats and run in a container under hull and under runc.
 *
 * posix [nolists]    everything with an answer of its own; access lists or not
 * posix many N       makes N files, lists, reads and removes them
 * posix deep N       goes N directories down and back
 * posix lock FILE    holds a lock until it is killed
 * posix try FILE     whether the lock is free
 * posix huge N       maps and touches N huge pages of /huge
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(name);
	return fd;
}

static void say_text(const char *what, int fd)
{
	char text[64] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	printf("%s: %zd '%s'\n", what, n, text);
}

static void rename_over_open(void)
{
	int old = make("victim", "the old one"), new = make("new", "the new one");
	struct stat st;
	say("rename over an open file", rename("new", "victim"));
	say_text("old descriptor", old);
	say_text("new descriptor", new);
	say("write to the replaced one", pwrite(old, "THE", 3, 0));
	say_text("old descriptor again", old);
	fstat(old, &st);
	printf("links of the replaced one: %u\n", (unsigned)st.st_nlink);
	close(old);
	old = open("victim", O_RDONLY);
	say_text("by name", old);
	close(old);
	close(new);
	mkdir("d1", 0755);
	mkdir("d2", 0755);
	int in = open("d1", O_RDONLY | O_DIRECTORY);
	say("rename a directory over an empty one", rename("d1", "d2"));
	say("create in it by its descriptor", openat(in, "inside", O_CREAT | O_WRONLY, 0644));
	say("see it by its name", access("d2/inside", F_OK));
	say("rename into itself", rename("d2", "d2/inside2"));
	say("rename a file over a directory", rename("victim", "d2"));
	close(in);
}

static void unlinked(void)
{
	struct stat st;
	int fd = make("unlinked", "still");
	unlink("unlinked");
	say("fstat", fstat(fd, &st));
	printf("links %u size %lld\n", (unsigned)st.st_nlink, (long long)st.st_size);
	say("extend", ftruncate(fd, 1 << 20));
	say("write far", pwrite(fd, "far", 3, 1000000) == 3 ? 0 : -1);
	say("fchmod", fchmod(fd, 0600));
	say("fsetxattr", fsetxattr(fd, "user.x", "y", 1, 0));
	fstat(fd, &st);
	printf("size %lld mode %o\n", (long long)st.st_size, st.st_mode);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = open(path, O_RDONLY);
	say("open it once more", again);
	if (again >= 0)
		say_text("once more", again);
	close(fd);
	close(again);
	mkdir("gone.d", 0755);
	int dir = open("gone.d", O_RDONLY | O_DIRECTORY);
	rmdir("gone.d");
	say("create in a removed directory", openat(dir, "x", O_CREAT | O_WRONLY, 0644));
	close(dir);
}

/* A second process asks for what this one holds. */
static void ask(const char *what, const char *name, struct flock lock, int command)
{
	if (fork() == 0) {
		int fd = open(name, O_RDWR);
		say(what, command ? fcntl(fd, command, &lock) : flock(fd, LOCK_EX | LOCK_NB));
		if (command == F_GETLK)
			printf("held: type %d start %lld len %lld\n", lock.l_type, (long long)lock.l_start, (long long)lock.l_len);
		_exit(0);
	}
	wait(NULL);
}

static void locks(void)
{
	struct flock part = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
	struct flock same = part, other = part, all = part;
	int fd = make("locked", "0123456789"), second = open("locked", O_RDWR);
	other.l_start = 30;
	all.l_start = all.l_len = 0;
	say("fcntl lock", fcntl(fd, F_SETLK, &part));
	ask("the same part by another process", "locked", same, F_SETLK);
	ask("another part by another process", "locked", other, F_SETLK);
	ask("who holds it", "locked", all, F_GETLK);
	say("close another descriptor of it", close(second));
	ask("the same part once more", "locked", same, F_SETLK);
	say("open file description lock", fcntl(fd, F_OFD_SETLK, &part));
	ask("the same part against it", "locked", same, F_OFD_SETLK);
	close(fd);
	fd = open("locked", O_RDWR);
	say("flock", flock(fd, LOCK_EX));
	ask("flock by another process", "locked", same, 0);
	say("lock by name of a hard link", link("locked", "locked.link"));
	ask("flock of the link", "locked.link", same, 0);
	close(fd);
	ask("flock when it is free", "locked", same, 0);
	say("lease", fcntl(open("locked", O_RDONLY), F_SETLEASE, F_RDLCK) < 0 && errno != EINVAL ? -1 : 0);
}

static void mapped(void)
{
	int fd = make("map", ""), other = open("map", O_RDWR);
	ftruncate(fd, 16384);
	char *a = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *b = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	char *c = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (a == MAP_FAILED || b == MAP_FAILED || c == MAP_FAILED)
		die("mmap");
	memcpy(a + 4096, "through a", sizeof("through a"));
	printf("through b: '%s'\n", b + 4096);
	memcpy(c + 8192, "private", sizeof("private"));
	printf("private is private: '%s'\n", a + 8192);
	if (fork() == 0) {
		memcpy(a, "from the child", sizeof("from the child"));
		_exit(0);
	}
	wait(NULL);
	printf("of the child: '%s'\n", b);
	pwrite(other, "by write", 8, 12288);
	printf("a write shows: '%s'\n", a + 12288);
	say("msync", msync(a, 16384, MS_SYNC));
	char text[32] = "";
	pread(other, text, 14, 0);
	printf("a read shows: '%s'\n", text);
	close(fd);
	close(other);
	memcpy(a + 100, "after close", sizeof("after close"));
	munmap(a, 16384);
	munmap(b, 16384);
	fd = open("map", O_RDONLY);
	pread(fd, text, 11, 100);
	printf("after close and unmap: '%s'\n", text);
	close(fd);
}

static void sparse(void)
{
	struct stat st;
	int fd = make("sparse", "");
	say("write beyond the end", pwrite(fd, "x", 1, 10 << 20) == 1 ? 0 : -1);
	fstat(fd, &st);
	printf("size %lld, few blocks: %d\n", (long long)st.st_size, st.st_blocks < 64);
	printf("data at %lld, hole at %lld\n", (long long)lseek(fd, 0, SEEK_DATA), (long long)lseek(fd, 0, SEEK_HOLE));
	say("fallocate", fallocate(fd, 0, 0, 1 << 20));
	fstat(fd, &st);
	printf("blocks now: %d\n", st.st_blocks >= 2048);
	say("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 20 << 20, 4096));
	say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	fstat(fd, &st);
	printf("size %lld, few blocks: %d\n", (long long)st.st_size, st.st_blocks < 128);
	say("shrink", ftruncate(fd, 5));
	say("beyond the limit", fallocate(fd, 0, 0, -1));
	close(fd);
	int from = make("from", "copied by the kernel"), to = make("to", "");
	loff_t at = 7;
	printf("copy_file_range: %zd\n", copy_file_range(from, &at, to, NULL, 100, 0));
	say_text("copied", to);
	close(from);
	close(to);
}

static void direct(void)
{
	char *page = aligned_alloc(4096, 8192);
	memset(page, 'd', 8192);
	int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644);
	say("O_DIRECT", fd);
	printf("write: %zd\n", pwrite(fd, page, 8192, 0));
	int cached = open("direct", O_RDWR);
	memset(page, 0, 8192);
	pread(cached, page, 4096, 4096);
	printf("cached read of it: %c\n", page[0]);
	pwrite(cached, "cached", 6, 0);
	pread(fd, page, 4096, 0);
	printf("direct read of a cached write: %.6s\n", page);
	close(fd);
	fd = open("synced", O_WRONLY | O_CREAT | O_DSYNC, 0644);
	printf("O_DSYNC: %zd\n", write(fd, "x", 1));
	say("fdatasync", fdatasync(fd));
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	say("fsync of a directory", fsync(fd));
	say("syncfs", syncfs(fd));
	close(fd);
	close(cached);
}

static void nodes(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	char text[8] = "";
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	say("bind", bind(s, (struct sockaddr *)&addr, sizeof(addr)));
	say("listen", listen(s, 1));
	say("connect", connect(c, (struct sockaddr *)&addr, sizeof(addr)));
	int peer = accept(s, NULL, NULL);
	write(c, "hello", 5);
	read(peer, text, 5);
	printf("through the socket: %s\n", text);
	say("fifo", mkfifo("fifo", 0600));
	if (fork() == 0) {
		int w = open("fifo", O_WRONLY);
		write(w, "fifo", 4);
		_exit(0);
	}
	int r = open("fifo", O_RDONLY);
	memset(text, 0, sizeof(text));
	read(r, text, 4);
	printf("through the fifo: %s\n", text);
	wait(NULL);
	say("device node", mknod("null", S_IFCHR | 0666, 0x103));
	say("symbolic link over one", symlink("x", "null"));
	say("a loop of links", symlink("loop", "loop"));
	say("follow it", open("loop", O_RDONLY));
	close(s);
	close(c);
	close(r);
}

/* As another user: what the lists allow and what they refuse. */
static void acl_as(uid_t uid, const char *name)
{
	fflush(stdout);
	if (fork() == 0) {
		if (setgid(uid) < 0 || setuid(uid) < 0)
			die("setuid");
		printf("%u reads %s: %s\n", uid, name, open(name, O_RDONLY) < 0 ? strerror(errno) : "ok");
		printf("%u writes %s: %s\n", uid, name, open(name, O_WRONLY) < 0 ? strerror(errno) : "ok");
		_exit(0);
	}
	wait(NULL);
}

#define ENTRY(tag, perm, id) tag "\0" perm "\0" id
#define NOBODY "\377\377\377\377"
static void lists(void)
{
	/* Version 2; user::rw-, user:1000:r--, group::---, mask::rw-, other::---. Source: linux/posix_acl_xattr.h */
	static const char access[] = "\2\0\0\0" ENTRY("\1", "\6", NOBODY) ENTRY("\2", "\4", "\350\3\0\0") ENTRY("\4", "\0", NOBODY)
		ENTRY("\20", "\6", NOBODY) ENTRY("\40", "\0", NOBODY);
	/* user::rwx, user:1000:rw-, group::r-x, mask::rwx, other::--- */
	static const char inherited[] = "\2\0\0\0" ENTRY("\1", "\7", NOBODY) ENTRY("\2", "\6", "\350\3\0\0") ENTRY("\4", "\5", NOBODY)
		ENTRY("\20", "\7", NOBODY) ENTRY("\40", "\0", NOBODY);
	struct stat st;
	char value[256];
	close(make("listed", "x"));
	say("access list", setxattr("listed", "system.posix_acl_access", access, sizeof(access) - 1, 0));
	printf("it reads back: %zd\n", getxattr("listed", "system.posix_acl_access", value, sizeof(value)));
	stat("listed", &st);
	printf("mode %o\n", st.st_mode);
	acl_as(1000, "listed");
	acl_as(1001, "listed");
	say("chmod", chmod("listed", 0640));
	acl_as(1000, "listed");
	mkdir("lists", 0755);
	say("default list", setxattr("lists", "system.posix_acl_default", inherited, sizeof(inherited) - 1, 0));
	umask(077);
	close(open("lists/file", O_CREAT | O_WRONLY, 0666));
	mkdir("lists/dir", 0777);
	mknod("lists/fifo", S_IFIFO | 0666, 0);
	umask(022);
	static const char *const made[] = { "lists/file", "lists/dir", "lists/fifo" };
	for (size_t i = 0; i < 3; i++) {
		stat(made[i], &st);
		printf("%s: mode %o, list %zd, default %zd\n", made[i], st.st_mode,
		       getxattr(made[i], "system.posix_acl_access", value, sizeof(value)),
		       getxattr(made[i], "system.posix_acl_default", value, sizeof(value)));
	}
}

static void odd_names(void)
{
	int made = 0;
	char name[3] = "";
	mkdir("odd", 0755);
	int dir = open("odd", O_RDONLY | O_DIRECTORY);
	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		name[1] = c == '.' ? 'x' : 0;
		int fd = c == '/' ? -1 : openat(dir, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		made += fd >= 0;
		close(fd);
	}
	DIR *d = opendir("odd");
	int listed = -2;
	while (readdir(d))
		listed++;
	closedir(d);
	printf("names of one byte: %d made, %d listed\n", made, listed);
	close(dir);
}

static void usage(void)
{
	struct statvfs vfs;
	say("statvfs", statvfs(".", &vfs));
	printf("longest name %lu, has blocks %d\n", vfs.f_namemax, vfs.f_blocks > 0);
	struct stat here, up;
	stat(".", &here);
	close(make("same", "x"));
	stat("same", &up);
	printf("one device: %d\n", here.st_dev == up.st_dev);
}

static void many(int n)
{
	char name[32];
	int seen = 0, bad = 0;
	mkdir("many", 0755);
	if (chdir("many") < 0)
		die("many");
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file-%06d", i);
		int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0)
			die(name);
		if (i % 100 == 0)
			dprintf(fd, "%d", i);
		close(fd);
	}
	DIR *d = opendir(".");
	struct dirent *e;
	while ((e = readdir(d)) != NULL)
		seen += e->d_name[0] != '.';
	closedir(d);
	for (int i = 0; i < n; i++) {
		struct stat st;
		snprintf(name, sizeof(name), "file-%06d", i);
		bad += stat(name, &st) < 0 || (st.st_size > 0) != (i % 100 == 0);
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file-%06d", i);
		bad += unlink(name) < 0;
	}
	printf("%d files, %d seen, %d bad, rmdir %d\n", n, seen, bad, rmdir("../many"));
}

static void deep(int n)
{
	for (int i = 0; i < n; i++)
		if (mkdir("down", 0755) < 0 || chdir("down") < 0)
			die("down");
	close(make("bottom", "x"));
	say("at the bottom", access("bottom", F_OK));
	unlink("bottom");
	for (int i = 0; i < n; i++)
		if (chdir("..") < 0 || rmdir("down") < 0)
			die("up");
	printf("%d down and up\n", n);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	umask(022);
	if (argc > 2 && strcmp(argv[1], "many") == 0) {
		many(atoi(argv[2]));
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "deep") == 0) {
		deep(atoi(argv[2]));
		return 0;
	}
	if (argc > 2 && (strcmp(argv[1], "lock") == 0 || strcmp(argv[1], "try") == 0)) {
		say(argv[1], flock(open(argv[2], O_RDWR | O_CREAT, 0644), LOCK_EX | LOCK_NB));
		return argv[1][0] == 'l' ? pause() : 0;
	}
	if (argc > 2 && strcmp(argv[1], "tmpfile") == 0) {
		say(argv[2], open(argv[2], O_TMPFILE | O_RDWR, 0600));
		/* What programs do then. */
		FILE *f = chdir(argv[2]) == 0 ? tmpfile() : NULL;
		return f && fputs("x", f) >= 0 && fclose(f) == 0 ? 0 : 1;
	}
	if (argc > 2 && strcmp(argv[1], "huge") == 0) {
		size_t size = (size_t)atoi(argv[2]) << 21;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, open("/huge/file", O_RDWR | O_CREAT, 0600), 0);
		printf("%s huge pages: %s\n", argv[2], p == MAP_FAILED ? strerror(errno) : "ok");
		for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
			p[i] = 1;
		return unlink("/huge/file");
	}
	static void (*const all[])(void) = {
		rename_over_open, unlinked, locks, mapped, sparse, direct, nodes, lists, odd_names, usage,
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] != lists || argc == 1)
			all[i]();
	return 0;
}
