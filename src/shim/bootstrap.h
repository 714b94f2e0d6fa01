/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containerd sends to `start` on stdin, and the runtime's options, which also come with Create.
 *
 * containerd 1.x sends the options as one Any, or nothing. 2.3 and later send BootstrapParams, which carry them as an extension.
 * Source: containerd, pkg/shim/util.go, Command().
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "shim/containerd.pb-c.h"

struct shim_options {
	char *root;                    /* state directory, or NULL */
	char *config;                  /* a hull.conf, or NULL */
	bool no_pivot, no_new_keyring, systemd_cgroup;
};

/*
 * Adds what an Any of containerd.runc.v1.Options or runtimeoptions.v1.Options says. What has no meaning for Hull is logged by
 * name; another type is an error.
 */
int shim_options_add(struct shim_options *options, const Hull__Containerd__Any *any, struct hull_error *err);

void shim_options_clear(struct shim_options *options);

/*
 * Reads what is on `fd`: at most a MiB, and for a second at most, because who is not containerd may leave a descriptor of its own
 * there. *ret_modern: it was BootstrapParams of this very container.
 */
int shim_bootstrap_read(int fd, const char *namespace, const char *id, struct shim_options *ret, bool *ret_modern, struct hull_error *err);

/* As that, of bytes. */
int shim_bootstrap_decode(const uint8_t *data, size_t len, const char *namespace, const char *id, struct shim_options *ret,
			  bool *ret_modern, struct hull_error *err);
