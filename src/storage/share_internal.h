/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind share.h have in common. */
#pragma once

#include "storage/share.h"

struct hull_child;
struct hull_volume;

struct hull_share {
	int served_fd;                 /* root of the mount that virtiofsd serves */
	int writable_fd;               /* root of the writable mount of the same tmpfs */
	bool mounted;
	struct hull_child *virtiofsd;
	unsigned long open_files;      /* that virtiofsd may have */
	void (*on_exit)(void *data, const char *reason);
	void *data;
	struct hull_volume *volumes;   /* volumes.c */
	unsigned volume_number;        /* of the last one */
	struct hull_volume_watch *watch;       /* NULL: nobody wants to know */
};

/* Makes the directory `path` of the share unless it is there. */
int hull_share_make_dir(const struct hull_share *share, const char *path, struct hull_error *err);

/* Makes the mount point, then confines and attaches the mount. Undoes the mount point when that fails. */
int hull_share_attach(const struct hull_share *share, int mount_fd, const char *path, bool is_directory, bool readonly,
		      bool follows_host, struct hull_error *err);

/* The container has no volumes any more: detaches what nobody else has, and adds the paths of those to *ret_gone. */
int hull_volumes_leave(struct hull_share *share, const char *container_id, struct hull_strv *ret_gone);

/* Forgets all, watches included. */
void hull_volumes_free(struct hull_share *share);
