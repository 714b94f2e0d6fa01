/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does to the files of the working directory what no tool of a small image does, and says what the file system answered. Built
 * statically by 02-process.bats and run in a container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
	say(name, fd);
	say("write", write(fd, text, strlen(text)));
	return fd;
}

static void attributes(void)
{
	/* VFS_CAP_REVISION_2, CAP_NET_RAW. Source: linux/capability.h */
	static const unsigned char caps[20] = { 1, 0, 0, 2, 0, 0x20 };
	char value[64] = "";
	close(make("xattr", "x"));
	mkdir("xattr.d", 0755);
	say("user", setxattr("xattr", "user.hull", "v\0w", 3, 0));
	say("user long", setxattr("xattr", "user.long.name.of.it", "0123456789", 10, XATTR_CREATE));
	say("user twice", setxattr("xattr", "user.hull", "x", 1, XATTR_CREATE));
	say("user on a directory", setxattr("xattr.d", "user.d", "", 0, 0));
	say("user gone", setxattr("xattr", "user.gone", "x", 1, 0));
	say("remove", removexattr("xattr", "user.gone"));
	say("remove again", removexattr("xattr", "user.gone"));
	say("capability", setxattr("xattr", "security.capability", caps, sizeof(caps), 0));
	printf("list: %zd\n", getxattr("xattr", "user.hull", value, sizeof(value)));
}

static void access_lists(void)
{
	mkdir("acl.d", 0755);
	say("acl", setxattr("acl.d", "system.posix_acl_default",
			    "\2\0\0\0" "\1\0\7\0\377\377\377\377" "\2\0\5\0\1\0\0\0" "\4\0\5\0\377\377\377\377"
			    "\20\0\5\0\377\377\377\377" "\40\0\0\0\377\377\377\377", 44, 0));
	close(make("acl.d/inherits", "x"));
}

static void contents(void)
{
	int fd = make("mapped", "0123456789");
	say("truncate", ftruncate(fd, 8192));
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say("mmap", map == MAP_FAILED ? -1 : 0);
	if (map != MAP_FAILED) {
		memcpy(map + 5000, "mapped", 6);
		say("msync", msync(map, 8192, MS_SYNC));
		munmap(map, 8192);
	}
	close(fd);

	fd = make("holes", "");
	say("fallocate", fallocate(fd, 0, 0, 65536));
	say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
	say("pwrite", pwrite(fd, "end", 3, 100000));
	say("fsync", fsync(fd));
	say("flock", flock(fd, LOCK_EX));
	close(fd);

	fd = make("appended", "first ");
	int other = open("appended", O_WRONLY | O_APPEND);
	say("append", write(other, "second ", 7));
	say("link of an open file", linkat(AT_FDCWD, "appended", AT_FDCWD, "appended.link", 0));
	say("unlink", unlink("appended"));
	say("write to an unlinked name", write(other, "third", 5));
	struct stat st;
	say("fstat", fstat(fd, &st));
	printf("links %llu size %lld\n", (unsigned long long)st.st_nlink, (long long)st.st_size);
	close(fd);
	close(other);
}

static void names(void)
{
	close(make("a", "a"));
	close(make("b", "b"));
	say("exchange", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
	say("noreplace", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	mkdir("dir", 0700);
	mkdir("dir/full", 0700);
	say("rename onto a full directory", rename("dir/full", "."));
	say("rmdir of a full directory", rmdir("dir"));
	say("link to a directory", link("dir", "dir.link"));
	char name[257];
	memset(name, 'n', 256);
	name[256] = '\0';
	say("a long name", open(name, O_CREAT | O_WRONLY, 0644));
	int fd = open("bytes-\xff\xfe", O_CREAT | O_WRONLY, 0644);
	say("a name that is no UTF-8", fd);
	close(fd);
}

static void times(void)
{
	const struct timespec t[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
	close(make("time", "x"));
	say("utimensat", utimensat(AT_FDCWD, "time", t, 0));
	symlink("time", "time.link");
	say("utimensat of a link", utimensat(AT_FDCWD, "time.link", t, AT_SYMLINK_NOFOLLOW));
	const struct timespec early[2] = { { -86400, 0 }, { -86400, 0 } };
	close(make("early", "x"));
	say("before 1970", utimensat(AT_FDCWD, "early", early, 0));
}

static void bits(void)
{
	int fd = make("suid", "x");
	say("fchmod", fchmod(fd, 06755));
	say("write by root", write(fd, "y", 1));
	struct stat st;
	fstat(fd, &st);
	printf("mode after a write by root %o\n", st.st_mode);
	close(make("theirs", "x"));
	say("chmod", chmod("theirs", 06777));
	pid_t pid = fork();
	if (pid == 0) {
		say("setuid", setuid(1000));
		int theirs = open("theirs", O_WRONLY | O_APPEND);
		say("write by another", write(theirs, "y", 1));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("chown", fchown(fd, 12, 34));
	fstat(fd, &st);
	printf("mode after chown %o\n", st.st_mode);
	say("fchmod", fchmod(fd, 04711));
	close(fd);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	umask(022);
	if (argc > 1 && strcmp(argv[1], "acl") == 0) {
		access_lists();
		return 0;
	}
	attributes();
	contents();
	names();
	times();
	bits();
	return 0;
}
