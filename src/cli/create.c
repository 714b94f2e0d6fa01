/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of creating a container, and their undoing. */
#include "cli/create.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/units.h"
#include "cli/creation.h"
#include "cli/rootless.h"
#include "net/netns.h"
#include "pod/config.h"
#include "pod/group.h"
#include "pod/network.h"
#include "pod/paths.h"

static void creation_clear(struct hull_creation *c)
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

static int check_lent(struct hull_creation *c, struct hull_error *err)
{
	bool terminal = c->bundle.spec->process.terminal;
	/* A shim carries the terminal's bytes over the stdio that it lends. */
	if (terminal && !c->options->foreground && !c->options->console_socket && !c->options->supervised)
		return hull_error_set(err, EINVAL, "cannot allocate tty if hull will detach without setting console socket");
	if (c->options->console_socket && (!terminal || c->options->foreground))
		return hull_error_set(err, EINVAL, "cannot use console socket if hull will not detach or allocate tty");
	return hull_lend_preserved(c->cli, c->options->preserve_fds, &c->preserved, err);
}

/* The supervisor reads the configuration, too; here its errors come before anything exists. */
static int check_config(struct hull_creation *c, struct hull_error *err)
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
static int open_netns(struct hull_creation *c, struct hull_error *err)
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

static int load(struct hull_creation *c, struct hull_error *err)
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

static int reach_shim(struct hull_creation *c, struct hull_error *err)
{
	int r = hull_client_connect(c->cli->root, c->pod_id, &c->client, err);
	if (r == 0) {
		hull_procref_get(hull_client_peer_pid(c->client), &c->state->supervisor);
		r = hull_state_write(c->dirfd, c->state, err);
	}
	flock(c->dirfd, LOCK_UN);
	return r;
}

static int reach_supervisor(struct hull_creation *c, struct hull_error *err)
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

static int create_steps(struct hull_creation *c, struct hull_error *err)
{
	Hull__Pod__V1__Stdio stdio = HULL__POD__V1__STDIO__INIT;

	int r = hull_paths_prepare(c->cli->root, err);
	if (r < 0)
		return r;
	c->state = hull_creation_first_state(c);
	r = hull_creation_make_dir(c, err);
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
	r = hull_creation_add_stdio(c, &stdio, err);
	if (r < 0)
		return r;
	r = hull_creation_start_standin(c, err);
	if (r < 0)
		return r;
	r = hull_creation_add_mounts(c, err);
	if (r < 0)
		return r;
	r = hull_creation_request(c, &stdio, err);
	if (r < 0)
		return r;
	r = hull_creation_finish_standin(c, err);
	if (r < 0)
		return r;
	return hull_launch_write_pid(c->options->pid_file, c->standin_pid, err);
}

int hull_create(const struct hull_cli *cli, const char *id, const struct hull_create_options *options,
		struct hull_created *ret, struct hull_error *err)
{
	struct hull_creation c = { .cli = cli, .id = id, .options = options, .dirfd = -1, .sockets = { -1, -1 }, .terminal = -1, .netns = -1,
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
