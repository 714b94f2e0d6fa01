/* SPDX-License-Identifier: Apache-2.0 */
/* The Create request: descriptors and message. */
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/creation.h"
#include "pod/paths.h"
#include "storage/share.h"

/* Covers a boot under emulation on a busy host (hull.conf: boot_timeout bounds it from within). */
#define CREATE_TIMEOUT_MS (10 * 60 * 1000)
#define POD_LOG_MAX_BYTES (2u << 20)

static void add_fd(struct hull_creation *c, int fd)
{
	c->fds = hull_reallocarray(c->fds, c->n_fds + 1, sizeof(int));
	c->fds[c->n_fds++] = fd;
}

static int add_mount(struct hull_creation *c, unsigned index, struct hull_error *err)
{
	const struct hull_oci_mount *m = &c->bundle.spec->mounts[index];
	struct stat st;
	_cleanup_free_ char *source = m->source[0] == '/' ? hull_strdup(m->source)
							   : hull_asprintf("%s/%s", c->bundle.path, m->source);
	int fd = hull_mount_clone(source, m->is_recursive, err);
	if (fd < 0)
		return hull_error_wrap(err, "config.json: mounts[%u].source", index);
	add_fd(c, fd);
	if (fstat(fd, &st) < 0)
		return hull_error_errno(err, errno, "config.json: mounts[%u].source: %s", index, source);

	Hull__Pod__V1__Mount *out = &c->mounts[c->n_mounts];
	hull__pod__v1__mount__init(out);
	out->index = index;
	out->is_directory = S_ISDIR(st.st_mode);
	out->readonly = (m->flags & MS_RDONLY) || (m->rec_attr_set & MOUNT_ATTR_RDONLY);
	out->follows_host = m->propagation & MS_SLAVE;
	out->is_recursive = m->is_recursive;
	c->mount_pointers[c->n_mounts++] = out;
	return 0;
}

int hull_creation_add_mounts(struct hull_creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	if (!hull_disk_of_rootfs(&c->blocks)) {
		int fd = hull_mount_clone(c->bundle.rootfs, true, err);
		if (fd < 0)
			return hull_error_wrap(err, "config.json: root.path");
		add_fd(c, fd);
	}
	c->mounts = hull_new(Hull__Pod__V1__Mount, spec->n_mounts);
	c->mount_pointers = hull_new(Hull__Pod__V1__Mount *, spec->n_mounts);
	for (unsigned i = 0; i < spec->n_mounts; i++) {
		int r = spec->mounts[i].is_bind && !hull_disk_of_mount(&c->blocks, i) ? add_mount(c, i, err) : 0;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->blocks.n; i++)
		add_fd(c, TAKE_FD(c->blocks.v[i].fd));
	c->disks = hull_disk_messages(&c->blocks);
	return 0;
}

int hull_creation_add_stdio(struct hull_creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err)
{
	int fds[HULL_LEND_FDS_MAX];
	size_t n = 0;
	int r = hull_lend_stdio(&c->bundle.spec->process, c->options->console_socket, stdio, fds, &n, &c->terminal, err);
	fds[n++] = c->sockets[0];
	hull_lend_add_preserved(&c->preserved, stdio, fds, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		add_fd(c, fds[i]);
	c->n_borrowed = c->n_fds;
	return r;
}

/* A supervisor that could not even begin has said why in its log. */
static void explain_supervisor_end(const struct hull_creation *c, struct hull_error *err)
{
	_cleanup_free_ char *dir = hull_path_pod(c->cli->root, c->pod_id);
	_cleanup_free_ char *path = hull_asprintf("%s/pod.log", dir);
	_cleanup_free_ char *log = NULL;
	char *last = NULL, *rest = NULL;
	if (hull_file_read(AT_FDCWD, path, POD_LOG_MAX_BYTES, &log, NULL) < 0)
		return;
	for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strstr(line, "level=error"))
			last = line;
	if (last)
		hull_error_set(err, EPIPE, "the pod's supervisor ended: %s", last);
}

/* The pointers are the container ids' and the table's. */
static size_t add_joined(const struct hull_creation *c, Hull__Pod__V1__JoinedNamespace *v, Hull__Pod__V1__JoinedNamespace **pointers)
{
	size_t n = 0;
	for (int type = 0; type < HULL_NS_COUNT; type++) {
		if (!c->joins.container[type])
			continue;
		hull__pod__v1__joined_namespace__init(&v[n]);
		v[n].type = (char *)(uintptr_t)hull_oci_namespace_name(type);
		v[n].container_id = c->joins.container[type];
		pointers[n] = &v[n];
		n++;
	}
	return n;
}

int hull_creation_request(struct hull_creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err)
{
	Hull__Pod__V1__CreateRequest m = HULL__POD__V1__CREATE_REQUEST__INIT;
	Hull__Pod__V1__JoinedNamespace joined[HULL_NS_COUNT], *joined_pointers[HULL_NS_COUNT];
	m.container_id = (char *)(uintptr_t)c->id;
	m.bundle = c->bundle.path;
	m.spec_json = (ProtobufCBinaryData){ .len = c->bundle.len, .data = (uint8_t *)c->bundle.text };
	m.stdio = stdio;
	m.n_mounts = c->n_mounts;
	m.mounts = c->mount_pointers;
	m.n_disks = c->blocks.n;
	m.disks = c->disks;
	m.no_pivot = c->options->no_pivot;
	m.no_new_keyring = c->options->no_new_keyring;
	m.standin_pid = c->standin_pid;
	m.rootfs_readonly = c->bundle.spec->root_readonly;
	m.n_joined = add_joined(c, joined, joined_pointers);
	m.joined = joined_pointers;
	m.has_netns = c->netns >= 0;
	if (m.has_netns)
		add_fd(c, TAKE_FD(c->netns));
	int r = hull_client_call(c->client, "Create", &m.base, &hull__pod__v1__create_response__descriptor, CREATE_TIMEOUT_MS,
				 c->fds, c->n_fds, NULL, err);
	if (r == -ENOTCONN && !hull_procref_alive(&c->state->supervisor))
		explain_supervisor_end(c, err);
	return r;
}
