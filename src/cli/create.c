/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/client.h"
#include "cli/disks.h"
#include "cli/hooks.h"
#include "cli/launch.h"
#include "cli/lend.h"
#include "cli/rootless.h"
#include "net/netns.h"
#include "pod/config.h"
#include "pod/group.h"
#include "pod/join.h"
#include "pod/network.h"
#include "pod/paths.h"
#include "pod/role.h"
#include "pod/state.h"
#include "storage/share.h"

/* Covers a boot under emulation on a busy host (hull.conf: boot_timeout bounds it from within). */
#define CREATE_TIMEOUT_MS (10 * 60 * 1000)
#define START_TIMEOUT_MS 60000
#define SETTLE_TIMEOUT_MS 60000
#define KILL_TIMEOUT_MS 8000
#define POD_LOG_MAX_BYTES (2u << 20)

/* Everything that a creation holds until it is done. */
struct creation {
	const struct hull_cli *cli;
	const char *id;
	const struct hull_create_options *options;
	struct hull_bundle bundle;
	enum hull_role role;
	char *pod_id;
	struct hull_joins joins;
	struct hull_state *state;
	int dirfd;
	bool made_dir;

	struct hull_client *client;
	int sockets[2];                /* the stand-in's pair: [0] the supervisor's end */
	int terminal;                  /* pty slave, or -1 */
	struct hull_mirror *mirror;
	struct hull_standin standin;   /* in the foreground: only for hooks, and gone after them */
	pid_t standin_pid;             /* in the foreground: this process */

	int netns;                     /* the container's network namespace on the host, or -1 */
	struct hull_lend_preserved preserved;
	int *fds;                      /* descriptors of the Create request; those from n_borrowed on are owned */
	size_t n_fds, n_borrowed;
	Hull__Pod__V1__Mount *mounts, **mount_pointers;
	size_t n_mounts;
	struct hull_blocks blocks;
	Hull__Pod__V1__Disk **disks;
};

static void creation_clear(struct creation *c)
{
	hull_client_free(c->client);
	hull_launch_abandon(&c->standin);
	hull_mirror_free(c->mirror);
	for (size_t i = c->n_borrowed; i < c->n_fds; i++)
		hull_closep(&c->fds[i]);
	hull_closep(&c->sockets[0]);
	hull_closep(&c->sockets[1]);
	hull_closep(&c->terminal);
	hull_closep(&c->netns);
	hull_closep(&c->dirfd);
	hull_state_free(c->state);
	hull_bundle_clear(&c->bundle);
	hull_joins_clear(&c->joins);
	free(c->pod_id);
	free(c->fds);
	free(c->mounts);
	free(c->mount_pointers);
	hull_blocks_clear(&c->blocks);
	free(c->disks);
}

/* ---- state */

static char *now_rfc3339(void)
{
	struct timespec now;
	struct tm tm;
	char text[40];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return hull_asprintf("%s.%09ldZ", text, now.tv_nsec);
}

static char *annotations_text(const struct hull_oci_spec *spec)
{
	if (spec->annotations.n == 0)
		return NULL;
	json_object *obj = json_object_new_object();
	for (size_t i = 0; i < spec->annotations.n; i++)
		json_object_object_add(obj, spec->annotations.v[i].key, json_object_new_string(spec->annotations.v[i].value));
	char *text = hull_strdup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
	return text;
}

static struct hull_state *first_state(const struct creation *c)
{
	struct hull_state *s = hull_new(struct hull_state, 1);
	struct passwd *user = getpwuid(getuid());
	s->id = hull_strdup(c->id);
	s->pod_id = hull_strdup(c->pod_id);
	s->bundle = hull_strdup(c->bundle.path);
	s->rootfs = hull_strdup(c->bundle.rootfs);
	s->oci_version = hull_strdup(c->bundle.spec->oci_version);
	s->owner = hull_strdup(user ? user->pw_name : "");
	s->created = now_rfc3339();
	s->annotations_json = annotations_text(c->bundle.spec);
	s->status = HULL_STATUS_CREATING;
	s->keeps_serving = c->options->supervised;
	hull_procref_get(getpid(), &s->creator);
	return s;
}

/*
 * The container's directory appears under its name with its state in it, or not at all: whoever finds the name can read what
 * it is, whenever this process dies.
 */
static int make_dir(struct creation *c, struct hull_error *err)
{
	_cleanup_free_ char *final = hull_path_container(c->cli->root, c->id);
	_cleanup_free_ char *temp = hull_path_passing(c->cli->root, c->id);
	struct stat st;

	/* Asked first for the sake of the common mistake; the rename below is what decides. */
	if (lstat(final, &st) == 0)
		return hull_error_set(err, EEXIST, "container with given ID already exists");
	hull_paths_sweep(c->cli->root);
	hull_rmtree(AT_FDCWD, temp);
	if (mkdir(temp, 0700) < 0)
		return hull_error_errno(err, errno, "make %s", temp);
	c->dirfd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = c->dirfd < 0 ? hull_error_errno(err, errno, "open %s", temp) : hull_state_write(c->dirfd, c->state, err);
	if (r == 0) {
		r = hull_file_replace(c->dirfd, "config.json", c->bundle.text, c->bundle.len, 0600);
		if (r < 0)
			hull_error_errno(err, r, "write config.json in %s", temp);
	}
	/* Until the state names the supervisor no delete may look at it. */
	if (r == 0 && flock(c->dirfd, LOCK_EX | LOCK_NB) < 0)
		r = hull_error_errno(err, errno, "lock %s", temp);
	if (r == 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, final, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST ? hull_error_set(err, EEXIST, "container with given ID already exists")
				    : hull_error_errno(err, errno, "make %s", final);
	if (r < 0)
		hull_rmtree(AT_FDCWD, temp);
	else
		c->made_dir = true;
	return r;
}

/* ---- descriptors of the request */

static void add_fd(struct creation *c, int fd)
{
	c->fds = hull_reallocarray(c->fds, c->n_fds + 1, sizeof(int));
	c->fds[c->n_fds++] = fd;
}

static int add_mount(struct creation *c, unsigned index, struct hull_error *err)
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

static int add_mounts(struct creation *c, struct hull_error *err)
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

/* Our own descriptors that go along, and the supervisor's end of the stand-in's pair. */
static int add_stdio(struct creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err)
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

static int check_lent(struct creation *c, struct hull_error *err)
{
	bool terminal = c->bundle.spec->process.terminal;
	/* A shim carries the terminal's bytes over the stdio that it lends. */
	if (terminal && !c->options->foreground && !c->options->console_socket && !c->options->supervised)
		return hull_error_set(err, EINVAL, "cannot allocate tty if hull will detach without setting console socket");
	if (c->options->console_socket && (!terminal || c->options->foreground))
		return hull_error_set(err, EINVAL, "cannot use console socket if hull will not detach or allocate tty");
	return hull_lend_preserved(c->cli, c->options->preserve_fds, &c->preserved, err);
}

/* ---- the steps */

/* The supervisor reads the configuration, too; here its errors come before anything exists. */
static int check_config(struct creation *c, struct hull_error *err)
{
	struct hull_net_limits limits;
	struct hull_config *config = NULL;
	int r = hull_config_load(&config, err);
	if (r == 0)
		r = c->role == HULL_ROLE_MEMBER ? 0 : hull_config_check(config, err);
	if (r == 0 && hull_blocks_find(c->bundle.spec, c->options->rootfs_block, c->options->rootfs_block_options,
				       config->disk_volumes, &c->blocks, err) < 0)
		r = hull_error_wrap(err, "config.json");
	if (r == 0)
		r = hull_network_limits(config, c->bundle.spec, &limits, err);
	hull_config_free(config);
	return r;
}

/* The network namespace that the stand-in lives in and that is connected to the VM: nobody else may depend on it. */
static int open_netns(struct creation *c, struct hull_error *err)
{
	const struct hull_oci_namespace *ns = &c->bundle.spec->namespaces[HULL_NS_NETWORK];
	if (!ns->present)
		return 0;
	c->netns = ns->path ? hull_netns_open(ns->path, err) : hull_netns_new(err);
	if (c->netns < 0)
		return hull_error_wrap(err, "config.json: linux.namespaces: network");
	if (!ns->path)
		return 0;
	int r = hull_netns_check_foreign(c->netns, err);
	if (r == 0)
		r = hull_netns_check_empty(c->netns, NULL, 0, err);
	return r < 0 ? hull_error_wrap(err, "config.json: linux.namespaces: network: %s cannot be joined", ns->path) : 0;
}

static int load(struct creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec;
	int r = hull_bundle_load(c->options->bundle, c->options->config, &c->bundle, err);
	if (r < 0)
		return r;
	spec = c->bundle.spec;
	r = check_lent(c, err);
	if (r < 0)
		return r;
	r = hull_role_find(spec, c->id, &c->role, &c->pod_id, err);
	if (r < 0)
		return hull_error_wrap(err, "config.json");
	if (c->role != HULL_ROLE_MEMBER)
		r = hull_oci_spec_check_own_network(spec, err);
	if (r == 0)
		r = hull_joins_resolve(c->cli->root, spec, &c->role, &c->pod_id, &c->joins, err);
	if (r == 0 && c->role != HULL_ROLE_MEMBER)
		r = open_netns(c, err);
	if (r == 0)
		r = check_config(c, err);
	for (size_t i = 0; i < spec->ignored.n; i++)
		hull_log_info("config.json: %s has no effect in a VM and is ignored", spec->ignored.v[i]);
	return r;
}

static int reach_shim(struct creation *c, struct hull_error *err)
{
	int r = hull_client_connect(c->cli->root, c->pod_id, &c->client, err);
	if (r == 0) {
		hull_procref_get(hull_client_peer_pid(c->client), &c->state->supervisor);
		r = hull_state_write(c->dirfd, c->state, err);
	}
	flock(c->dirfd, LOCK_UN);
	return r;
}

static int reach_supervisor(struct creation *c, struct hull_error *err)
{
	int fd = -1;
	pid_t pid;
	if (c->options->supervised)
		return reach_shim(c, err);
	if (c->role == HULL_ROLE_MEMBER) {
		flock(c->dirfd, LOCK_UN);
		if (hull_client_connect(c->cli->root, c->pod_id, &c->client, err) < 0)
			return hull_error_set(err, ESRCH, "pod %s is not running: its sandbox container is gone or was never started", c->pod_id);
		return 0;
	}
	int r = hull_launch_supervisor(c->cli, c->pod_id, &pid, &fd, err);
	if (r == 0) {
		hull_procref_get(pid, &c->state->supervisor);
		r = hull_state_write(c->dirfd, c->state, err);
		/* It ends with this connection, which waits in its socket. */
		if (r < 0)
			close(fd);
		else
			r = hull_client_from_fd(fd, &c->client, err);
	}
	/* Before it starts anything: what it starts follows it. */
	if (r == 0)
		r = hull_group_add(c->state, pid, err);
	flock(c->dirfd, LOCK_UN);
	return r;
}

/* In the stand-in's namespaces: what such a hook mounts is seen there, and what it writes by the container as well. */
static int run_inside_hooks(void *data, struct hull_error *err)
{
	struct creation *c = data;
	hull_procref_get(getpid(), &c->state->standin);
	return hull_hooks_run(&c->bundle.spec->create_container, "createContainer", c->state, HULL_STATUS_CREATING,
			      c->bundle.rootfs, err);
}

static int join_group(void *data, struct hull_error *err)
{
	const struct creation *c = data;
	return c->options->foreground ? 0 : hull_group_add(c->state, getpid(), err);
}

/* In the foreground this process stands for the container itself; hooks still need namespaces like the container's. */
static int start_standin(struct creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	const struct hull_launch_inside inside = { join_group, run_inside_hooks, c };
	c->standin_pid = getpid();
	if (c->options->foreground && spec->prestart.n + spec->create_runtime.n + spec->create_container.n == 0)
		return 0;
	/* It is all that `docker top` and `podman top` can show, and says so. */
	_cleanup_free_ char *title = hull_asprintf("%s (its processes are in its VM)", c->id);
	int r = hull_mirror_prepare(&c->bundle, c->netns, &c->mirror, err);
	if (r == 0)
		r = hull_launch_standin(c->sockets[1], c->terminal, title, c->mirror, &inside, &c->standin, err);
	if (r == 0 && !c->options->foreground)
		c->standin_pid = c->standin.pid;
	return r;
}

/* A supervisor that could not even begin has said why in its log. */
static void explain_supervisor_end(const struct creation *c, struct hull_error *err)
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
static size_t add_joined(const struct creation *c, Hull__Pod__V1__JoinedNamespace *v, Hull__Pod__V1__JoinedNamespace **pointers)
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

static int request_create(struct creation *c, Hull__Pod__V1__Stdio *stdio, struct hull_error *err)
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

static int run_create_hooks(struct creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	/* In the foreground too, hooks are told of a process in the container's namespaces. */
	hull_procref_get(c->standin.pid > 0 ? c->standin.pid : c->standin_pid, &c->state->standin);
	int r = hull_hooks_run(&spec->prestart, "prestart", c->state, HULL_STATUS_CREATING, c->bundle.path, err);
	if (r == 0)
		r = hull_hooks_run(&spec->create_runtime, "createRuntime", c->state, HULL_STATUS_CREATING, c->bundle.path, err);
	if (r == 0 && spec->create_container.n > 0)
		r = hull_launch_run_inside(&c->standin, err);
	return r;
}

/* Waits until the guest has what is in the pod's network namespace now. */
static int settle_network(struct creation *c, struct hull_error *err)
{
	Hull__Pod__V1__Empty m = HULL__POD__V1__EMPTY__INIT;
	if (c->role == HULL_ROLE_MEMBER)
		return 0;
	return hull_client_call(c->client, "SettleNetwork", &m.base, &hull__pod__v1__empty__descriptor, SETTLE_TIMEOUT_MS, NULL, 0, NULL, err);
}

/*
 * A container that joins a pod without its network has one of its own in the guest, with lo and nothing else. An engine's hook may
 * have connected the stand-in's meanwhile.
 */
static int check_own_network(const struct creation *c, struct hull_error *err)
{
	const struct hull_oci_namespace *ns = &c->bundle.spec->namespaces[HULL_NS_NETWORK];
	if (c->role != HULL_ROLE_MEMBER || ns->path || c->standin.pid <= 0)
		return 0;
	_cleanup_free_ char *path = hull_asprintf("/proc/%d/ns/net", (int)c->standin.pid);
	_cleanup_close_ int fd = hull_netns_open(path, err);
	int r = fd < 0 ? fd : hull_netns_check_unconnected(fd, err);
	return r < 0 ? hull_error_wrap(err, "config.json: linux.namespaces: network: a container that joins pod %s has that one's network, or none "
				       "(--network container:NAME or none)", c->pod_id) : 0;
}

/* The guest has made the container: what is left to do on the host. */
static int finish_standin(struct creation *c, struct hull_error *err)
{
	const struct hull_oci_spec *spec = c->bundle.spec;
	int r = c->standin.pid > 0 ? hull_launch_fill(&c->standin, err) : 0;
	if (r == 0)
		r = run_create_hooks(c, err);
	/* Docker's hook puts interfaces into the stand-in's network namespace. */
	if (r == 0 && spec->prestart.n + spec->create_runtime.n + spec->create_container.n > 0)
		r = settle_network(c, err);
	if (r == 0)
		r = check_own_network(c, err);
	if (r < 0)
		return r;
	if (c->options->foreground) {
		hull_launch_abandon(&c->standin);
		return 0;
	}
	return hull_launch_release(&c->standin, err);
}

static int create_steps(struct creation *c, struct hull_error *err)
{
	Hull__Pod__V1__Stdio stdio = HULL__POD__V1__STDIO__INIT;

	int r = hull_paths_prepare(c->cli->root, err);
	if (r < 0)
		return r;
	c->state = first_state(c);
	r = make_dir(c, err);
	if (r < 0)
		return r;
	r = hull_group_begin(c->state, c->dirfd, c->bundle.spec, c->role, c->cli->systemd_cgroup, err);
	if (r < 0)
		return r;
	r = reach_supervisor(c, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c->sockets) < 0)
		return hull_error_errno(err, errno, "make a socket pair");
	r = add_stdio(c, &stdio, err);
	if (r < 0)
		return r;
	r = start_standin(c, err);
	if (r < 0)
		return r;
	r = add_mounts(c, err);
	if (r < 0)
		return r;
	r = request_create(c, &stdio, err);
	if (r < 0)
		return r;
	r = finish_standin(c, err);
	if (r < 0)
		return r;
	return hull_launch_write_pid(c->options->pid_file, c->standin_pid, err);
}

int hull_create(const struct hull_cli *cli, const char *id, const struct hull_create_options *options,
		struct hull_created *ret, struct hull_error *err)
{
	struct creation c = { .cli = cli, .id = id, .options = options, .dirfd = -1, .sockets = { -1, -1 }, .terminal = -1, .netns = -1,
			      .standin = HULL_STANDIN_INIT };

	if (!hull_container_id_valid(id))
		return hull_error_set(err, EINVAL, "invalid container ID \"%.64s\": letters, digits and _+-. only", id);
	int r = hull_check_root(err);
	if (r == 0)
		r = load(&c, err);
	if (r == 0)
		r = create_steps(&c, err);
	if (r < 0 && c.made_dir) {
		struct hull_error ignored = HULL_ERROR_INIT;
		/* Our ends first: the supervisor takes their closing for the order to roll back. */
		hull_client_free(TAKE_PTR(c.client));
		hull_launch_abandon(&c.standin);
		hull_closep(&c.sockets[0]);
		hull_closep(&c.sockets[1]);
		if (hull_delete_own(cli, id, c.dirfd, &ignored) < 0)
			hull_log_warning("clean up after a failed create: %s", ignored.message);
	}
	if (r == 0 && ret) {
		ret->dirfd = TAKE_FD(c.dirfd);
		ret->session_fd = options->foreground ? TAKE_FD(c.sockets[1]) : -1;
		ret->terminal = c.bundle.spec->process.terminal;
	}
	creation_clear(&c);
	return r;
}

/* A failed poststart hook ends the container that it came too late for. Source: runtime-spec 1.2.1, lifecycle; runc does so, too. */
static void stop_again(struct hull_client *client, char *id)
{
	struct hull_error err = HULL_ERROR_INIT;
	Hull__Pod__V1__KillRequest m = HULL__POD__V1__KILL_REQUEST__INIT;
	m.container_id = id;
	m.signal = SIGKILL;
	if (hull_client_call(client, "Kill", &m.base, &hull__pod__v1__empty__descriptor, KILL_TIMEOUT_MS, NULL, 0, NULL, &err) < 0)
		hull_log_warning("kill %s after its poststart hook failed: %s", id, err.message);
}

int hull_start(const struct hull_cli *cli, const char *id, struct hull_error *err)
{
	struct hull_state *state = NULL;
	_cleanup_close_ int dirfd = -1;
	_cleanup_(hull_client_freep) struct hull_client *client = NULL;
	_cleanup_free_ char *text = NULL;
	struct hull_oci_spec *spec = NULL;
	size_t len;

	int r = hull_state_load(cli->root, id, &dirfd, &state, err);
	if (r < 0)
		return r;
	enum hull_status status = hull_state_effective(state);
	/* The texts are runc's. */
	if (status == HULL_STATUS_STOPPED)
		r = hull_error_set(err, EINVAL, "cannot start a container that has stopped");
	else if (status == HULL_STATUS_RUNNING)
		r = hull_error_set(err, EINVAL, "cannot start an already running container");
	else if (status != HULL_STATUS_CREATED)
		r = hull_error_set(err, EINVAL, "cannot start a container in the %s state", hull_status_name(status));
	if (r == 0)
		r = hull_client_connect(cli->root, state->pod_id, &client, err);
	if (r == 0)
		r = hull_client_call_container(client, "Start", id, START_TIMEOUT_MS, err);
	if (r == 0 && hull_file_read(dirfd, "config.json", HULL_OCI_CONFIG_MAX_BYTES, &text, &len) == 0 &&
	    hull_oci_spec_parse(text, len, &spec, err) == 0) {
		r = hull_hooks_run(&spec->poststart, "poststart", state, HULL_STATUS_RUNNING, state->bundle, err);
		if (r < 0)
			stop_again(client, state->id);
	}
	hull_oci_spec_free(spec);
	hull_state_free(state);
	return r;
}
