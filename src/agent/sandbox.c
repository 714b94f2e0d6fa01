/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateSandbox: the generic guest becomes a pod. The VM's initial network, IPC and UTS namespaces are the pod's: nothing
 * else lives in them, so there is nothing to make and to pin.
 */
#include "agent/agent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/inodes.h"
#include "agent/serve.h"
#include "agent/sysctl.h"
#include "base/cleanup.h"
#include "base/log.h"

#define ENTROPY_MIN_BYTES 32
#define ENTROPY_MAX_BYTES 4096
#define SHM_DEFAULT_BYTES (64u << 20)
/* Below this the guest's clock is right enough: the request itself took a while. */
#define CLOCK_DRIFT_NS 50000000

/* Source: random(4), RNDADDENTROPY. */
static int add_entropy(const ProtobufCBinaryData *entropy, struct hull_error *err)
{
	if (entropy->len < ENTROPY_MIN_BYTES || entropy->len > ENTROPY_MAX_BYTES)
		return hull_error_set(err, EINVAL, "entropy: %d to %d bytes", ENTROPY_MIN_BYTES, ENTROPY_MAX_BYTES);
	_cleanup_free_ struct rand_pool_info *pool = hull_calloc(1, sizeof(*pool) + entropy->len);
	pool->entropy_count = (int)entropy->len * 8;
	pool->buf_size = (int)entropy->len;
	memcpy(pool->buf, entropy->data, entropy->len);
	_cleanup_close_ int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0)
		return hull_error_errno(err, errno, "add entropy");
	return 0;
}

static int set_clock(int64_t realtime_ns, struct hull_error *err)
{
	struct timespec now;
	if (realtime_ns <= 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t drift = realtime_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	if (drift > -CLOCK_DRIFT_NS && drift < CLOCK_DRIFT_NS)
		return 0;
	struct timespec wanted = { .tv_sec = realtime_ns / 1000000000, .tv_nsec = realtime_ns % 1000000000 };
	if (clock_settime(CLOCK_REALTIME, &wanted) < 0)
		return hull_error_errno(err, errno, "set the clock");
	return 0;
}

static int set_names(const Hull__Agent__V1__CreateSandboxRequest *m, struct hull_error *err)
{
	if (*m->hostname && sethostname(m->hostname, strlen(m->hostname)) < 0)
		return hull_error_errno(err, errno, "hostname");
	if (*m->domainname && setdomainname(m->domainname, strlen(m->domainname)) < 0)
		return hull_error_errno(err, errno, "domainname");
	return 0;
}

static int mount_share(const char *tag, struct hull_error *err)
{
	if (*tag && mount(tag, HULL_SHARE_DIR, "virtiofs", 0, NULL) < 0)
		return hull_error_errno(err, errno, "mount the share %s", tag);
	return 0;
}

static int mount_shm(uint64_t bytes, struct hull_error *err)
{
	char data[64];
	snprintf(data, sizeof(data), "mode=1777,size=%" PRIu64, bytes ? bytes : SHM_DEFAULT_BYTES);
	if (mount("shm", HULL_SHM_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, data) < 0)
		return hull_error_errno(err, errno, "mount the pod's /dev/shm");
	return 0;
}

static int set_sysctls(const Hull__Agent__V1__CreateSandboxRequest *m, struct hull_error *err)
{
	for (size_t i = 0; i < m->n_sysctl; i++) {
		int r = hull_sysctl_set(m->sysctl[i]->key, m->sysctl[i]->value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void hull_handle_create_sandbox(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	const Hull__Agent__V1__CreateSandboxRequest *m = (const Hull__Agent__V1__CreateSandboxRequest *)message;
	struct hull_agent *agent = data;
	struct hull_error err = HULL_ERROR_INIT;

	if (agent->sandbox_created) {
		hull_rpc_fail(request, HULL_RPC_ALREADY_EXISTS, "the sandbox was created before");
		return;
	}
	uint64_t began = hull_boottime_ns();
	if (set_clock(m->realtime_ns, &err) < 0 || add_entropy(&m->entropy, &err) < 0 || set_names(m, &err) < 0 ||
	    mount_share(m->share_tag, &err) < 0 || mount_shm(m->shm_bytes, &err) < 0 || set_sysctls(m, &err) < 0) {
		/* Half a pod is none. The supervisor gives up on this VM. */
		hull_error_wrap(&err, "create sandbox");
		hull_rpc_fail_error(request, &err);
		return;
	}
	hull_inodes_watch(agent, m->share_files_max);
	agent->sandbox_created = true;
	hull_log_tag(m->pod_id);
	hull_log_debug("sandbox created in %" PRIu64 " us", (hull_boottime_ns() - began) / 1000);
	hull_reply_empty(request);
}
