/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts by descriptor. Paths are looked up once, when a mount is cloned; nothing here follows one twice. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Gives a detached mount tree the attributes of everything that virtiofsd sees: nosuid, nodev, noexec, private,
 * and read-only when asked for. Covers what is mounted below it too. With `follows_host` what the host mounts below it later
 * appears as well, with the host's attributes. 0 or -errno.
 * Source: mount_setattr(2).
 */
int hull_mount_confine(int mount_fd, bool readonly, bool follows_host);

/* Puts a detached mount at `path` below `dirfd`. 0 or -errno. Source: move_mount(2). */
int hull_mount_attach(int mount_fd, int dirfd, const char *path);

/* Detaches what is mounted at `path` below `dirfd`, however deep. 0 also when nothing is; otherwise -errno. */
int hull_mount_detach(int dirfd, const char *path);
