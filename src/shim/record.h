/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a shim: a file in its pod's directory, for containers that join, and in every bundle, for who cleans up. */
#pragma once

#include "base/error.h"
#include "base/process.h"

struct shim_record {
	char *root;                    /* state directory */
	char *pod_id;                  /* Hull's */
	char *socket;                  /* the task socket's path */
	struct hull_procref shim;
};

int shim_record_write(int dirfd, const struct shim_record *record, struct hull_error *err);

/* 0, -ENOENT, -EBADMSG. */
int shim_record_read(const char *dir, struct shim_record *ret);

void shim_record_clear(struct shim_record *record);
