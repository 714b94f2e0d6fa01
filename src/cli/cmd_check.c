/* SPDX-License-Identifier: Apache-2.0 */
/* Can this host run Hull, and how well. Each finding says what to do. */
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/facts.h"
#include "cli/statejson.h"
#include "pod/paths.h"

#define FILES_WANTED 500000

enum verdict { GOOD, NOTE, BAD };

struct finding {
	enum verdict verdict;
	char text[512];                /* what was found */
	char advice[512];              /* what to do; empty when nothing */
};

static void say(struct finding *f, enum verdict verdict, const char *text, const char *advice)
{
	f->verdict = verdict;
	snprintf(f->text, sizeof(f->text), "%s", text);
	snprintf(f->advice, sizeof(f->advice), "%s", advice);
}

static void check_root(const struct hull_facts *facts, struct finding *f)
{
	(void)facts;
	if (geteuid() == 0)
		say(f, GOOD, "runs as root", "");
	else
		say(f, BAD, "does not run as root", "run hull as root: it makes mount namespaces and drops privileges itself");
}

/* In a child: the namespace is thrown away with it. */
static void check_mounts(const struct hull_facts *facts, struct finding *f)
{
	int status = 0;
	(void)facts;
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(1);
		int fd = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID };
		if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
			_exit(2);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		say(f, GOOD, "mount namespaces and detached mounts (open_tree, mount_setattr) work", "");
	else if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1)
		say(f, BAD, "no new mount namespace can be made", "give the process CAP_SYS_ADMIN");
	else
		say(f, BAD, "open_tree or mount_setattr does not work", "use a host kernel from 5.12 on");
}

static void check_vmm(const struct hull_facts *facts, struct finding *f)
{
	if (!facts->vmm_err.code)
		say(f, GOOD, facts->vmm_version, "");
	else
		say(f, BAD, facts->vmm_err.message, "install qemu-system-x86, or set `qemu` in hull.conf");
}

static void check_virtiofsd(const struct hull_facts *facts, struct finding *f)
{
	if (!facts->virtiofsd_err.code)
		say(f, GOOD, facts->virtiofsd_version, "");
	else
		say(f, BAD, facts->virtiofsd_err.message, "install qemu-system-common (up to QEMU 7.2) or virtiofsd, or set `virtiofsd` in hull.conf");
}

static void check_accel(const struct hull_facts *facts, struct finding *f)
{
	if (facts->accel_err.code)
		say(f, BAD, facts->accel_err.message, "set `accelerator = auto` in hull.conf");
	else if (facts->accel == HULL_ACCEL_KVM)
		say(f, GOOD, facts->accel_why, "");
	else
		say(f, NOTE, facts->accel_why, "everything works, at the speed of emulation; for native speed use a host with working KVM");
}

static void check_pvm(const struct hull_facts *facts, struct finding *f)
{
	if (facts->kvm.pvm_host)
		say(f, NOTE, "this host's KVM is of the PVM kind", "it can run a guest kernel built with CONFIG_PVM_GUEST: name one as `kernel_kvm` in hull.conf");
}

static void check_guest(const struct hull_facts *facts, struct finding *f)
{
	char text[512];
	if (facts->guest_err.code) {
		say(f, BAD, facts->guest_err.message, "run `make guest install`, or set `kernel` and `initrd` in hull.conf");
		return;
	}
	snprintf(text, sizeof(text), "guest kernel %s (%s)", facts->guest.version, facts->guest.flavour);
	if (strcmp(facts->guest.flavour, "debian") == 0)
		say(f, NOTE, text, "`make guest-kernel install` builds one that starts and writes to shared directories about twice as fast, and has "
		    "inotify of the host's changes and access control lists there");
	else
		say(f, GOOD, text, "");
}

static void check_memory(const struct hull_facts *facts, struct finding *f)
{
	char text[512], total[32], available[32], each[32];
	snprintf(text, sizeof(text), "%s of memory, %s available; a pod may use up to %s unless its containers ask for more",
		 hull_format_size(facts->host_memory_bytes, total), hull_format_size(facts->host_memory_available_bytes, available),
		 hull_format_size(facts->config->memory_bytes, each));
	if (facts->host_memory_available_bytes > facts->config->memory_bytes)
		say(f, GOOD, text, "");
	else
		say(f, NOTE, text, "free some memory, or make `memory` in hull.conf smaller");
}

static void check_openat2(const struct hull_facts *facts, struct finding *f)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	(void)facts;
	long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
	if (fd >= 0)
		close((int)fd);
	if (fd >= 0)
		say(f, GOOD, "paths below a container's root can be resolved safely (openat2)", "");
	else
		say(f, BAD, "openat2 does not work", "use a host kernel from 5.6 on, and a seccomp profile that allows openat2");
}

/* virtiofsd holds a descriptor for every file that the guest's kernel remembers. */
static void check_files(const struct hull_facts *facts, struct finding *f)
{
	struct rlimit limit;
	char text[512];
	(void)facts;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	snprintf(text, sizeof(text), "a pod can hold up to %llu files of its shares in the guest's caches at a time",
		 (unsigned long long)limit.rlim_max);
	if (limit.rlim_max >= FILES_WANTED)
		say(f, GOOD, text, "");
	else
		say(f, NOTE, text, "programs that walk larger trees may see EMFILE: raise the hard limit of open files (ulimit -Hn) of whatever starts hull");
}

static const struct {
	const char *name;
	void (*fn)(const struct hull_facts *, struct finding *);
} checks[] = {
	{ "privileges", check_root }, { "mounts", check_mounts },   { "paths", check_openat2 },  { "qemu", check_vmm },
	{ "virtiofsd", check_virtiofsd }, { "accelerator", check_accel }, { "pvm", check_pvm }, { "guest", check_guest },
	{ "memory", check_memory }, { "files", check_files },
};

static const char *const verdict_names[] = { [GOOD] = "ok", [NOTE] = "note", [BAD] = "FAIL" };

int hull_cmd_check(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	bool json = false;
	const struct hull_option options[] = {
		{ "json", 0, HULL_OPTION_FLAG, &json, NULL, "print JSON" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "check", "", "Tells whether this host can run Hull, and how well. Exit code 1: it cannot.", 0, 0 };
	struct hull_facts facts;
	int first, failed = 0;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_facts_gather(cli->root, &facts, err) < 0)
		return HULL_EXIT_FAILURE;

	json_object *array = json_object_new_array();
	for (size_t i = 0; i < HULL_ARRAY_SIZE(checks); i++) {
		struct finding f = { 0 };
		checks[i].fn(&facts, &f);
		if (!f.text[0])
			continue;
		failed += f.verdict == BAD;
		if (!json)
			printf("%-4s  %-12s %s\n%s%s%s", verdict_names[f.verdict], checks[i].name, f.text, f.advice[0] ? "                   → " : "",
			       f.advice, f.advice[0] ? "\n" : "");
		json_object *o = json_object_new_object();
		json_object_object_add(o, "check", json_object_new_string(checks[i].name));
		json_object_object_add(o, "verdict", json_object_new_string(verdict_names[f.verdict]));
		json_object_object_add(o, "found", json_object_new_string(f.text));
		json_object_object_add(o, "advice", json_object_new_string(f.advice));
		json_object_array_add(array, o);
	}
	if (json) {
		_cleanup_free_ char *out = hull_json_text(array);
		printf("%s\n", out);
	} else {
		printf("\n%s\n", failed ? "This host cannot run Hull yet." : "This host can run Hull.");
	}
	json_object_put(array);
	hull_facts_clear(&facts);
	return failed ? HULL_EXIT_FAILURE : HULL_EXIT_OK;
}
