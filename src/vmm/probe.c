/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "vmm/kvm.h"

/*
 * The guest code takes 2 to 10 ms where KVM runs it, nested virtualization included, and seconds (if it ends at all)
 * where the host emulates privileged code. Anything below this boots an ordinary kernel faster than TCG.
 */
#define NATIVE_MAX_US 100000
#define PROBE_TIMEOUT_MS 1000
/* How long the kernel may take to tear down a killed probe. */
#define KILL_TIMEOUT_MS 5000
#define CACHE_NAME "kvm-probe.json"
#define CACHE_MAX 4096

/* Waits for the child's report. False when none came in time. */
static bool read_report(int fd, int timeout_ms, struct hull_kvm_run *run)
{
	int64_t deadline = hull_now_ms() + timeout_ms;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - hull_now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* One write of less than PIPE_BUF: all of it or nothing. */
		return n > 0 && read(fd, run, sizeof(*run)) == (ssize_t)sizeof(*run);
	}
}

/* Runs the guest code in a child. False when the child did not report in time; it is gone in any case. */
static bool run_in_child(int timeout_ms, struct hull_kvm_run *run)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	_cleanup_close_ int reader = fds[0];
	_cleanup_close_ int writer = fds[1];
	pid_t pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		hull_signals_reset();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hull_kvm_run_guest(run);
		_exit(write(writer, run, sizeof(*run)) == (ssize_t)sizeof(*run) ? 0 : 1);
	}
	close(TAKE_FD(writer));
	bool reported = read_report(reader, timeout_ms, run);

	/* Not reaped yet, so the pid is still its own. */
	kill(pid, SIGKILL);
	_cleanup_close_ int pidfd = hull_pidfd_open(pid);
	if (pidfd >= 0)
		hull_pidfd_wait(pidfd, KILL_TIMEOUT_MS);
	waitpid(pid, NULL, WNOHANG);
	return reported;
}

void hull_kvm_probe_run(int timeout_ms, struct hull_kvm_probe *ret)
{
	struct hull_kvm_run run = { .run_us = 0 };

	memset(ret, 0, sizeof(*ret));
	ret->run_us = -1;
	ret->pvm_host = access("/sys/module/kvm_pvm", F_OK) == 0;
	const char *pvm = ret->pvm_host ? "; kvm_pvm is loaded here and wants guest kernels with CONFIG_PVM_GUEST" : "";
	const size_t size = sizeof(ret->why);

	if (access("/dev/kvm", F_OK) < 0 && errno == ENOENT) {
		snprintf(ret->why, size, "there is no /dev/kvm");
	} else if (!run_in_child(timeout_ms, &run)) {
		snprintf(ret->why, size, "KVM did not finish a few million instructions of guest code within %d ms%s",
			 timeout_ms, pvm);
	} else if (run.failed[0]) {
		snprintf(ret->why, size, "KVM cannot run guest code: %s%s%s%s", run.failed, run.code ? ": " : "",
			 run.code ? strerror(run.code) : "", pvm);
	} else {
		ret->run_us = run.run_us;
		ret->usable = run.run_us <= NATIVE_MAX_US;
		if (ret->usable)
			snprintf(ret->why, size, "KVM runs guest code at native speed (test took %.1f ms)",
				 (double)run.run_us / 1000);
		else
			snprintf(ret->why, size, "KVM is too slow here: the test took %.0f ms where %d are the limit%s",
				 (double)run.run_us / 1000, NATIVE_MAX_US / 1000, pvm);
	}
}

/* A new value with every boot of the host. */
static int read_boot_id(char **ret)
{
	int r = hull_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 128, ret, NULL);
	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static const char *string_member(struct json_object *object, const char *name)
{
	struct json_object *member = NULL;
	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}

/* Reads an answer of this boot. False: none, or not one that can be read. */
static bool cache_read(const char *path, const char *boot_id, struct hull_kvm_probe *ret)
{
	_cleanup_free_ char *text = NULL;
	struct json_object *usable = NULL;

	if (hull_file_read(AT_FDCWD, path, CACHE_MAX, &text, NULL) < 0)
		return false;
	struct json_object *object = json_tokener_parse(text);
	bool hit = object && strcmp(string_member(object, "boot_id"), boot_id) == 0 &&
		   json_object_object_get_ex(object, "usable", &usable) &&
		   json_object_is_type(usable, json_type_boolean) &&
		   string_member(object, "why")[0] != '\0';
	if (hit) {
		ret->usable = json_object_get_boolean(usable);
		snprintf(ret->why, sizeof(ret->why), "%s", string_member(object, "why"));
	}
	json_object_put(object);
	return hit;
}

static void cache_write(const char *path, const char *boot_id, const struct hull_kvm_probe *probe)
{
	struct json_object *object = json_object_new_object();
	json_object_object_add(object, "boot_id", json_object_new_string(boot_id));
	json_object_object_add(object, "usable", json_object_new_boolean(probe->usable));
	json_object_object_add(object, "why", json_object_new_string(probe->why));
	json_object_object_add(object, "run_us", json_object_new_int64(probe->run_us));
	json_object_object_add(object, "pvm_host", json_object_new_boolean(probe->pvm_host));
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	int r = hull_file_replace(AT_FDCWD, path, text, strlen(text), 0644);
	/* Only the next start is slower for it. */
	if (r < 0)
		hull_log_debug("cannot write %s: %s", path, strerror(-r));
	json_object_put(object);
}

/* The probe's answer, from the cache when it has one. */
static void probe_cached(const char *cache_dir, struct hull_kvm_probe *ret)
{
	_cleanup_free_ char *path = hull_asprintf("%s/" CACHE_NAME, cache_dir);
	_cleanup_free_ char *boot_id = NULL;

	bool known = read_boot_id(&boot_id) == 0;
	if (known && cache_read(path, boot_id, ret))
		return;
	hull_kvm_probe_run(PROBE_TIMEOUT_MS, ret);
	if (known)
		cache_write(path, boot_id, ret);
}

int hull_accel_choose(enum hull_accel wanted, const char *cache_dir, enum hull_accel *ret, char ret_why[static 256],
		      struct hull_error *err)
{
	struct hull_kvm_probe probe = { .usable = false };

	if (wanted == HULL_ACCEL_TCG) {
		snprintf(ret_why, 256, "TCG was asked for");
		*ret = HULL_ACCEL_TCG;
		return 0;
	}
	probe_cached(cache_dir, &probe);
	if (wanted == HULL_ACCEL_KVM && !probe.usable)
		return hull_error_set(err, ENOTSUP, "accelerator kvm: %s", probe.why);
	snprintf(ret_why, 256, "%s", probe.why);
	*ret = probe.usable ? HULL_ACCEL_KVM : HULL_ACCEL_TCG;
	return 0;
}
