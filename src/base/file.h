/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories: whole-file reads with a bound, atomic writes, safe trees. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reads all of `path` (relative to `dirfd`, or AT_FDCWD) into a new buffer with a NUL behind it.
 * More than `max` bytes: -EFBIG. Anything but a regular file, pipe or proc file: what read() says.
 */
int hull_file_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len);

/* As hull_file_read() from an open descriptor's current position. */
int hull_fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_len);

/* Writes all bytes to an open descriptor, through short writes and EINTR. 0 or -errno. */
int hull_fd_write_all(int fd, const void *data, size_t len);

/* Writes an existing file (such as one in /proc, /sys or a cgroup) in one write(). 0 or -errno. */
int hull_file_write(int dirfd, const char *path, const char *text);

/* Replaces `path` through a temporary file, fsync-free: readers see the old or the new content. */
int hull_file_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode);

/* Makes `path` and its missing parents with `mode`. 0 also when it is there already. */
int hull_mkdir_p(const char *path, mode_t mode);

/*
 * Removes the tree at dirfd/path without crossing into other mounts and without following
 * symbolic links. 0 also when there is nothing. -EBUSY when a mount point is inside.
 */
int hull_rmtree(int dirfd, const char *path);

/*
 * Opens `path` as a process whose root is `rootfd` would: symbolic links and ".." stay inside.
 * `flags` as for open(); O_CLOEXEC is added. Returns the fd or -errno.
 * Source: openat2(2), RESOLVE_IN_ROOT.
 */
int hull_open_in_root(int rootfd, const char *path, int flags, mode_t mode);

/* Sets or clears FD_CLOEXEC. 0 or -errno. */
int hull_fd_cloexec(int fd, bool on);

/* Writes "/proc/self/fd/N" into `buf`, a path that names what the fd names. */
const char *hull_fd_path(int fd, char buf[static 32]);
