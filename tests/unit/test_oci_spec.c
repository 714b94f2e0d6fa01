/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser makes of each field, what it refuses, and what it says. */
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "oci_fixture.h"

#define BIT(n) (UINT64_C(1) << (n))

static struct hull_oci_spec *parse_full(void)
{
	size_t len;
	_cleanup_free_ char *text = fixture("full.json", &len);
	return must_parse(text);
}

static void process_fields(void **state HULL_UNUSED)
{
	struct hull_oci_spec *spec = parse_full();
	const struct hull_oci_process *p = &spec->process;

	assert_string_equal(spec->oci_version, "1.2.0");
	assert_true(spec->has_process && p->terminal && p->has_console_size && p->no_new_privileges);
	assert_true(p->console_height == 25 && p->console_width == 80);
	assert_true(p->user.uid == 1000 && p->user.gid == 1001 && p->user.has_umask && p->user.umask == 022);
	assert_true(p->user.n_additional_gids == 2 && p->user.additional_gids[0] == 10 && p->user.additional_gids[1] == 20);
	assert_string_equal(p->user.username, "web");
	assert_true(p->args.n == 3 && p->env.n == 2);
	assert_string_equal(p->args.v[1], "-x");
	assert_string_equal(p->args.v[2], "");
	assert_null(p->args.v[3]);
	assert_string_equal(p->env.v[1], "ODD");
	assert_string_equal(p->cwd, "/srv");
	assert_true(p->capabilities.present);
	assert_true(p->capabilities.bounding == (BIT(CAP_KILL) | BIT(CAP_NET_RAW)));
	assert_true(p->capabilities.effective == BIT(CAP_KILL) && p->capabilities.inheritable == BIT(CAP_CHOWN));
	assert_true(p->capabilities.permitted == (BIT(CAP_KILL) | BIT(CAP_BPF)));
	assert_true(p->capabilities.ambient == BIT(CAP_CHECKPOINT_RESTORE));
	assert_int_equal(p->capabilities.unknown.n, 1);
	assert_string_equal(p->capabilities.unknown.v[0], "CAP_FUTURE");
	assert_int_equal(p->n_rlimits, 2);
	assert_true(p->rlimits[0].resource == RLIMIT_NOFILE && p->rlimits[0].soft == 1024 && p->rlimits[0].hard == 2048);
	assert_true(p->rlimits[1].hard == RLIM_INFINITY);
	assert_string_equal(p->apparmor_profile, "docker-default");
	assert_string_equal(p->selinux_label, "system_u:system_r:container_t:s0");
	assert_true(p->has_oom_score_adj && p->oom_score_adj == -500);
	assert_true(p->scheduler.present && p->scheduler.policy == 6 && p->scheduler.nice == 5 && p->scheduler.flags == 3);
	assert_true(p->scheduler.runtime == 1 && p->scheduler.deadline == 2 && p->scheduler.period == 3);
	assert_true(p->has_io_priority && p->io_class == IOPRIO_CLASS_BE && p->io_priority == 6);
	assert_int_equal(p->exec_cpu_affinity.n, 2);
	assert_string_equal(p->exec_cpu_affinity.v[0], "0-1");
	assert_string_equal(p->exec_cpu_affinity.v[1], "1");
	hull_oci_spec_free(spec);
}

static void mount_and_hook_fields(void **state HULL_UNUSED)
{
	struct hull_oci_spec *spec = parse_full();

	assert_string_equal(spec->root_path, "rootfs");
	assert_true(spec->root_readonly);
	assert_string_equal(spec->hostname, "box");
	assert_string_equal(spec->domainname, "example.org");

	assert_int_equal(spec->n_mounts, 3);
	const struct hull_oci_mount *m = &spec->mounts[1];
	assert_string_equal(m->destination, "/data");
	assert_true(m->is_bind && m->is_recursive && m->idmap && !m->ridmap && !m->tmpcopyup && !m->data);
	assert_true(m->flags == (MS_RDONLY | MS_NOSUID) && m->flags_clear == 0 && m->propagation == (MS_PRIVATE | MS_REC));
	assert_true(m->rec_attr_set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME) && m->rec_attr_clear == MOUNT_ATTR__ATIME);
	assert_true(m->n_uid_mappings == 1 && m->uid_mappings[0].host_id == 1000);
	assert_true(m->n_gid_mappings == 1 && m->gid_mappings[0].size == 2);
	m = &spec->mounts[2];
	assert_true(!m->is_bind && m->tmpcopyup && m->flags == 0 && m->flags_clear == MS_RDONLY);
	assert_string_equal(m->data, "mode=755,size=64k");
	assert_int_equal(m->options.n, 4);

	const struct hull_oci_hook *h = &spec->prestart.v[0];
	assert_int_equal(spec->prestart.n, 1);
	assert_string_equal(h->path, "/usr/bin/a");
	assert_string_equal(h->args.v[1], "1");
	assert_string_equal(h->env.v[0], "A=1");
	assert_int_equal(h->timeout_s, 5);
	assert_string_equal(spec->create_runtime.v[0].path, "/usr/bin/b");
	assert_string_equal(spec->create_container.v[0].path, "/usr/bin/c");
	assert_string_equal(spec->start_container.v[1].path, "/usr/bin/e");
	assert_string_equal(spec->poststart.v[0].path, "/usr/bin/f");
	/* A month, as far as milliseconds fit into an int. */
	assert_int_equal(spec->poststart.v[0].timeout_s, 2147483);
	assert_string_equal(spec->poststop.v[0].path, "/usr/bin/g");
	assert_int_equal(spec->poststop.v[0].timeout_s, 0);

	assert_string_equal(hull_oci_annotation(spec, "io.kubernetes.cri.container-type"), "sandbox");
	assert_string_equal(hull_oci_annotation(spec, "plain"), "");
	assert_null(hull_oci_annotation(spec, "absent"));
	hull_oci_spec_free(spec);
}

static void linux_fields(void **state HULL_UNUSED)
{
	struct hull_oci_spec *spec = parse_full();

	assert_true(spec->has_linux);
	for (size_t i = 0; i < HULL_NS_COUNT; i++)
		assert_true(spec->namespaces[i].present && (spec->namespaces[i].path != NULL) == (i == HULL_NS_NETWORK));
	assert_string_equal(spec->namespaces[HULL_NS_NETWORK].path, "/run/netns/cni-1");
	assert_true(spec->n_uid_mappings == 1 && spec->uid_mappings[0].host_id == 100000 && spec->uid_mappings[0].size == 65536);
	assert_true(spec->n_gid_mappings == 1 && spec->gid_mappings[0].host_id == 200000);
	assert_int_equal(spec->time_offsets.n, 2);
	assert_string_equal(spec->time_offsets.v[0].key, "monotonic");
	assert_string_equal(spec->time_offsets.v[0].value, "-5 7");
	assert_int_equal(spec->n_devices, 2);
	const struct hull_oci_device *d = &spec->devices[0];
	assert_true(d->type == 'c' && d->major == 10 && d->minor == 229 && d->has_mode && d->mode == 0666 && d->uid == 1 && d->gid == 2);
	assert_true(spec->devices[1].type == 'p' && !spec->devices[1].has_mode);
	assert_string_equal(spec->cgroups_path, "/pods/one");
	assert_true(spec->rootfs_propagation == (MS_SLAVE | MS_REC));
	assert_string_equal(spec->masked_paths.v[0], "/proc/kcore");
	assert_string_equal(spec->readonly_paths.v[1], "/proc/bus");
	assert_int_equal(spec->sysctl.n, 3);
	assert_string_equal(spec->sysctl.v[0].key, "net/ipv4/ip_forward");
	assert_string_equal(spec->sysctl.v[1].key, "net/ipv4/conf/eth0.1/forwarding");
	assert_string_equal(spec->sysctl.v[1].value, "1");
	assert_string_equal(spec->mount_label, "system_u:object_r:container_file_t:s0");
	assert_true(spec->has_intel_rdt && spec->has_personality && spec->personality == PER_LINUX32);
	hull_oci_spec_free(spec);
}

static void resource_fields(void **state HULL_UNUSED)
{
	struct hull_oci_spec *spec = parse_full();
	const struct hull_oci_resources *r = &spec->resources;

	assert_true(spec->has_resources && r->n_devices == 2);
	assert_true(!r->devices[0].allow && r->devices[0].type == 'a' && r->devices[0].major == -1 && r->devices[0].minor == -1);
	assert_true(r->devices[0].access == (HULL_DEV_READ | HULL_DEV_WRITE | HULL_DEV_MKNOD));
	assert_true(r->devices[1].allow && r->devices[1].type == 'c' && r->devices[1].major == 10 && r->devices[1].minor == 229);
	assert_true(r->devices[1].access == (HULL_DEV_READ | HULL_DEV_WRITE));
	assert_true(r->has_memory_limit && r->memory_limit == 536870912 && r->has_memory_reservation);
	assert_true(r->memory_reservation == 268435456 && r->has_memory_swap && r->memory_swap == 1073741824);
	assert_true(r->has_memory_kernel && r->memory_kernel == 1 && r->has_memory_kernel_tcp && r->memory_kernel_tcp == 2);
	assert_true(r->has_memory_swappiness && r->memory_swappiness == 60 && r->has_oom_kill_disable && r->oom_kill_disable);
	assert_true(r->memory_use_hierarchy && r->memory_check_before_update);
	assert_true(r->has_cpu_shares && r->cpu_shares == 512 && r->has_cpu_quota && r->cpu_quota == 50000);
	assert_true(r->has_cpu_period && r->cpu_period == 100000 && r->has_cpu_burst && r->cpu_burst == 1000);
	assert_true(r->has_cpu_idle && r->cpu_idle == 1 && r->has_cpu_rt);
	assert_string_equal(r->cpu_cpus, "0-1");
	assert_string_equal(r->cpu_mems, "0");
	assert_true(r->has_pids_limit && r->pids_limit == 64 && r->has_blkio_weight && r->blkio_weight == 500);
	assert_true(r->has_blkio_other && r->n_read_bps == 1 && r->read_bps[0].rate == 600 && r->n_write_bps == 1);
	assert_true(r->write_bps[0].minor == 16 && r->write_bps[0].rate == 700 && r->n_read_iops == 1);
	assert_true(r->read_iops[0].rate == 800 && r->n_write_iops == 1 && r->write_iops[0].rate == 900);
	assert_true(r->n_hugepages == 1 && r->hugepages[0].limit == 4194304);
	assert_string_equal(r->hugepages[0].page_size, "2MB");
	assert_true(r->has_network && r->has_rdma && r->unified.n == 1);
	assert_string_equal(r->unified.v[0].key, "memory.high");
	hull_oci_spec_free(spec);
}

static void seccomp_fields(void **state HULL_UNUSED)
{
	struct hull_oci_spec *spec = parse_full();
	const struct hull_oci_seccomp *s = &spec->seccomp;

	assert_true(s->present && s->default_action == SCMP_ACT_ERRNO(38) && s->n_architectures == 2);
	assert_true(s->architectures[0] == SCMP_ARCH_X86_64 && s->architectures[1] == SCMP_ARCH_X86);
	assert_true(s->flags == (HULL_SECCOMP_LOG | HULL_SECCOMP_SPEC_ALLOW));
	assert_string_equal(s->listener_path, "/run/seccomp.sock");
	assert_string_equal(s->listener_metadata, "m");
	assert_int_equal(s->n_rules, 3);
	assert_true(s->rules[0].action == SCMP_ACT_ALLOW && s->rules[0].names.n == 2 && s->rules[0].n_args == 0);
	assert_true(s->rules[1].action == SCMP_ACT_ERRNO(22) && s->rules[1].n_args == 1);
	const struct hull_oci_seccomp_arg *a = &s->rules[1].args[0];
	assert_true(a->index == 1 && a->value == 8 && a->value_two == 9 && a->op == SCMP_CMP_MASKED_EQ);
	assert_true(s->rules[2].action == SCMP_ACT_TRACE(1));
	hull_oci_spec_free(spec);
}

static void ignored_fields_are_noted(void **state HULL_UNUSED)
{
	static const char *const expected[] = {
		"process.apparmorProfile", "process.commandLine", "solaris", "windows", "vm", "zos", "freebsd", "future",
	};
	struct hull_oci_spec *spec = must_parse(
		"{\"ociVersion\":\"1.1.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"apparmorProfile\":\"p\",\"selinuxLabel\":\"\","
		"\"commandLine\":\"c\"},\"root\":{\"path\":\"r\"},\"solaris\":{},\"windows\":{\"layerFolders\":[]},\"vm\":{},\"zos\":{},"
		"\"freebsd\":{},\"future\":{\"x y\":1}}");
	assert_int_equal(spec->ignored.n, HULL_ARRAY_SIZE(expected));
	for (size_t i = 0; i < HULL_ARRAY_SIZE(expected); i++)
		assert_string_equal(spec->ignored.v[i], expected[i]);
	assert_null(spec->process.selinux_label);
	hull_oci_spec_free(spec);
}

/* A minimal config with `more` at its end, `process` in its process and `linux` in its linux object. */
static char *config(const char *process, const char *linux_members, const char *more)
{
	return hull_asprintf("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]%s%s},"
			     "\"linux\":{%s}%s%s}", *process ? "," : "", process, linux_members, *more ? "," : "", more);
}

static void zero_means_not_set(void **state HULL_UNUSED)
{
	_cleanup_free_ char *text = config("", "\"resources\":{\"memory\":{\"limit\":0,\"reservation\":0,\"swap\":0,\"kernel\":0,"
		"\"swappiness\":18446744073709551615},\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0,\"cpus\":\"\","
		"\"realtimeRuntime\":0},\"pids\":{\"limit\":0},\"blockIO\":{\"weight\":0,\"leafWeight\":0,\"weightDevice\":null},"
		"\"network\":{},\"rdma\":{}},\"intelRdt\":{},\"netDevices\":{},\"memoryPolicy\":{},\"mountLabel\":\"\"", "");
	struct hull_oci_spec *spec = must_parse(text);
	const struct hull_oci_resources *r = &spec->resources;
	assert_false(r->has_memory_limit || r->has_memory_reservation || r->has_memory_swap || r->has_memory_kernel);
	assert_false(r->has_memory_swappiness || r->has_cpu_shares || r->has_cpu_quota || r->has_cpu_period || r->cpu_cpus);
	assert_false(r->has_cpu_rt || r->has_pids_limit || r->has_blkio_weight || r->has_blkio_other || r->has_network || r->has_rdma);
	assert_false(spec->has_intel_rdt || spec->mount_label || spec->ignored.n);
	hull_oci_spec_free(spec);
}

static void minus_one_means_no_limit(void **state HULL_UNUSED)
{
	_cleanup_free_ char *text = config("", "\"resources\":{\"memory\":{\"limit\":-1,\"swap\":-1},\"cpu\":{\"quota\":-1},"
					   "\"pids\":{\"limit\":-1}}", "");
	struct hull_oci_spec *spec = must_parse(text);
	const struct hull_oci_resources *r = &spec->resources;
	assert_true(r->has_memory_limit && r->memory_limit == -1 && r->has_memory_swap && r->memory_swap == -1);
	assert_true(r->has_cpu_quota && r->cpu_quota == -1 && r->has_pids_limit && r->pids_limit == -1);
	hull_oci_spec_free(spec);
}

static void versions(void **state HULL_UNUSED)
{
	static const struct { const char *version; bool good; } versions[] = {
		{ "1.0.0", true }, { "1.0.2-dev", true }, { "1.0.0-rc5", true }, { "1.1.0-rc.2", true }, { "1.1.0+dev", true },
		{ "1.2.0", true }, { "1.2.1", true }, { "1.3.0", true }, { "2.0.0", false }, { "0.9.0", false }, { "10.0.0", false },
		{ "1.0", false }, { "1", false }, { "v1.0.0", false }, { "1.0.0.0", false }, { "1.0.0-", false }, { "01.0.0", false },
		{ "1.0.0 ", false }, { "", false },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(versions); i++) {
		_cleanup_free_ char *text = hull_asprintf("{\"ociVersion\":\"%s\",\"root\":{\"path\":\"r\"}}", versions[i].version);
		if (versions[i].good)
			hull_oci_spec_free(must_parse(text));
		else
			must_refuse(text, "config.json: ociVersion: ");
	}
	must_refuse("{\"root\":{\"path\":\"r\"}}", "config.json: ociVersion: missing");
	must_refuse("{\"ociVersion\":null,\"root\":{\"path\":\"r\"}}", "config.json: ociVersion: missing");
	must_refuse("{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "version \"2.0.0\" is not supported: only 1.x is");
}

static void tops_that_are_wrong(void **state HULL_UNUSED)
{
	must_refuse("[]", "config.json: expected an object, found an array");
	must_refuse("null", "config.json: missing: expected an object");
	must_refuse("{\"ociVersion\":\"1.0.0\"}", "config.json: root: missing");
	must_refuse("{\"ociVersion\":\"1.0.0\",\"root\":{}}", "config.json: root.path: missing");
	must_refuse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"\"}}", "config.json: root.path: must not be empty");
	must_refuse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{}}", "config.json: process.cwd: missing");
	must_refuse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\"}}",
		    "config.json: process.args: must not be empty");
	struct hull_oci_spec *spec = must_parse("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}}");
	assert_false(spec->has_process || spec->has_linux);
	hull_oci_spec_free(spec);
	hull_oci_spec_free(NULL);
	hull_oci_process_free(NULL);
	hull_oci_resources_free(NULL);
}

/* One row per rule: what is put into the process, linux and top object, and the error. */
static const struct rule {
	const char *process, *linux_members, *more, *expected;
} rules[] = {
	{ "\"cwd\":1", "", "", "key \"cwd\" occurs twice" },
	{ "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":1}]", "", "",
	  "process.rlimits[1].type: RLIMIT_CORE occurs twice" },
	{ "\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", "", "", "process.rlimits[0].type: unknown value \"RLIMIT_X\"" },
	{ "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]", "", "", "process.rlimits[0].soft: above the hard limit" },
	{ "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"hard\":1}]", "", "", "process.rlimits[0].soft: missing" },
	{ "\"user\":{\"umask\":512}", "", "", "process.user.umask: expected a number from 0 to 511, found a number (512)" },
	{ "\"user\":{\"uid\":4294967296}", "", "", "process.user.uid: expected a number from 0 to 4294967295" },
	{ "\"user\":{\"additionalGids\":[0,-1]}", "", "", "process.user.additionalGids[1]: " },
	{ "\"oomScoreAdj\":1001", "", "", "process.oomScoreAdj: expected a number from -1000 to 1000" },
	{ "\"scheduler\":{\"nice\":1}", "", "", "process.scheduler.policy: missing" },
	{ "\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}", "", "", "process.scheduler.nice: " },
	{ "\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":1}", "", "", "process.scheduler.priority: only SCHED_FIFO" },
	{ "\"scheduler\":{\"policy\":\"SCHED_RR\",\"period\":1}", "", "", "process.scheduler: only SCHED_DEADLINE" },
	{ "\"scheduler\":{\"policy\":\"SCHED_RR\",\"flags\":[\"X\"]}", "", "", "process.scheduler.flags[0]: unknown value \"X\"" },
	{ "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":8}", "", "", "process.ioPriority.priority: " },
	{ "\"ioPriority\":{\"priority\":1}", "", "", "process.ioPriority.class: missing" },
	{ "\"execCPUAffinity\":{\"initial\":\"all\"}", "", "", "process.execCPUAffinity.initial: expected a list such as" },
	{ "\"consoleSize\":{\"height\":1}", "", "", "process.consoleSize.width: missing" },
	{ "\"bogus\":1", "", "", "process.bogus: unknown field" },

	{ "", "", "\"hostname\":\"h\"", "hostname: unable to set hostname without a private UTS namespace" },
	{ "", "", "\"domainname\":\"d\"", "domainname: unable to set domainname without a private UTS namespace" },
	{ "", "", "\"annotations\":{\"\":\"x\"}", "annotations[\"\"]: a key must not be empty" },
	{ "", "", "\"mounts\":[{}]", "mounts[0].destination: missing" },
	{ "", "", "\"mounts\":[{\"destination\":\"\"}]", "mounts[0].destination: must not be empty" },
	{ "", "", "\"mounts\":[{\"destination\":\"/\",\"bogus\":1}]", "mounts[0].bogus: unknown field" },
	{ "", "", "\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}", "hooks.poststop[0].path: expected an absolute path, found a string (\"x\")" },
	{ "", "", "\"hooks\":{\"poststop\":[{\"path\":\"/x\",\"timeout\":0}]}", "hooks.poststop[0].timeout: " },
	{ "", "", "\"hooks\":{\"bogus\":[]}", "hooks.bogus: unknown field" },

	{ "", "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]", "", "linux.namespaces[1].type: namespace \"pid\" occurs twice" },
	{ "", "\"namespaces\":[{\"type\":\"net\"}]", "", "linux.namespaces[0].type: unknown value \"net\"" },
	{ "", "\"namespaces\":[{\"path\":\"/x\"}]", "", "linux.namespaces[0].type: missing" },
	{ "", "\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]", "", "linux.namespaces[0].path: expected an absolute path" },
	{ "", "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "", "linux.uidMappings: mappings without a user namespace" },
	{ "", "\"namespaces\":[{\"type\":\"user\"}]", "", "linux.uidMappings: missing: a new user namespace needs mappings" },
	{ "", "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":0}]", "", "linux.uidMappings[0].size: must not be 0" },
	{ "", "\"uidMappings\":[{\"containerID\":0,\"hostID\":2,\"size\":4294967294}]", "", "linux.uidMappings[0].size: the range ends" },
	{ "", "\"timeOffsets\":{\"boottime\":{\"secs\":1}}", "", "linux.timeOffsets: offsets without a time namespace" },
	{ "", "\"timeOffsets\":{\"realtime\":{\"secs\":1}}", "", "linux.timeOffsets.realtime: unknown field" },
	{ "", "\"timeOffsets\":{\"boottime\":{\"nanosecs\":1000000000}}", "", "linux.timeOffsets.boottime.nanosecs: " },
	{ "", "\"devices\":[{\"type\":\"c\",\"path\":\"/d\",\"major\":1}]", "", "linux.devices[0].minor: missing" },
	{ "", "\"devices\":[{\"type\":\"c\",\"path\":\"d\",\"major\":1,\"minor\":1}]", "", "linux.devices[0].path: expected an absolute" },
	{ "", "\"devices\":[{\"type\":\"x\",\"path\":\"/d\"}]", "", "linux.devices[0].type: unknown value \"x\"" },
	{ "", "\"devices\":[{\"type\":\"p\",\"path\":\"/d\",\"fileMode\":65536}]", "", "linux.devices[0].fileMode: expected a file mode" },
	{ "", "\"netDevices\":{\"eth0\":{}}", "", "linux.netDevices: not supported: a host's network device" },
	{ "", "\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}", "", "linux.memoryPolicy: not supported: the VM does not show" },
	{ "", "\"rootfsPropagation\":\"public\"", "", "linux.rootfsPropagation: expected a mount propagation" },
	{ "", "\"rootfsPropagation\":\"ro\"", "", "linux.rootfsPropagation: expected a mount propagation" },
	{ "", "\"maskedPaths\":[\"/a\",\"b\"]", "", "linux.maskedPaths[1]: expected an absolute path" },
	{ "", "\"readonlyPaths\":[\"\"]", "", "linux.readonlyPaths[0]: expected an absolute path" },
	{ "", "\"personality\":{}", "", "linux.personality.domain: missing" },
	{ "", "\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"X\"]}", "", "linux.personality.flags: expected an empty array" },
	{ "", "\"bogus\":1", "", "linux.bogus: unknown field" },
	{ "", "\"\\u001b[2J\":1", "", "linux[\"\\x1b[2J\"]: unknown field" },

	{ "", "\"resources\":{\"devices\":[{\"allow\":true}]}", "", "linux.resources.devices[0].access: missing" },
	{ "", "\"resources\":{\"devices\":[{\"access\":\"\"}]}", "", "linux.resources.devices[0].access: must not be empty" },
	{ "", "\"resources\":{\"devices\":[{\"access\":\"rwx\"}]}", "", "linux.resources.devices[0].access: expected letters out of" },
	{ "", "\"resources\":{\"devices\":[{\"access\":\"r\",\"type\":\"d\"}]}", "", "linux.resources.devices[0].type: unknown value" },
	{ "", "\"resources\":{\"devices\":[{\"access\":\"r\",\"major\":-2}]}", "", "linux.resources.devices[0].major: " },
	{ "", "\"resources\":{\"memory\":{\"limit\":-2}}", "", "linux.resources.memory.limit: expected a number from -1" },
	{ "", "\"resources\":{\"memory\":{\"limit\":2,\"swap\":1}}", "", "linux.resources.memory.swap: below linux.resources.memory.limit" },
	{ "", "\"resources\":{\"memory\":{\"swappiness\":101}}", "", "linux.resources.memory.swappiness: " },
	{ "", "\"resources\":{\"cpu\":{\"cpus\":\"0-x\"}}", "", "linux.resources.cpu.cpus: expected a list such as" },
	{ "", "\"resources\":{\"cpu\":{\"idle\":2}}", "", "linux.resources.cpu.idle: " },
	{ "", "\"resources\":{\"pids\":{}}", "", "linux.resources.pids.limit: missing" },
	{ "", "\"resources\":{\"pids\":{\"limit\":\"10m\"}}", "",
	  "config.json: linux.resources.pids.limit: expected a number, found a string (\"10m\")" },
	{ "", "\"resources\":{\"pids\":{\"limit\":1.5}}", "", "linux.resources.pids.limit: expected a whole number, found a number (1.5)" },
	{ "", "\"resources\":{\"blockIO\":{\"weight\":9}}", "", "linux.resources.blockIO.weight: expected a weight from 10 to 1000" },
	{ "", "\"resources\":{\"blockIO\":{\"weight\":1001}}", "", "linux.resources.blockIO.weight: " },
	{ "", "\"resources\":{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":1}]}}", "", "throttleReadBpsDevice[0].minor: missing" },
	{ "", "\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2M\",\"limit\":1}]}", "", "hugepageLimits[0].pageSize: expected a size" },
	{ "", "\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"../B\",\"limit\":1}]}", "", "hugepageLimits[0].pageSize: expected" },
	{ "", "\"resources\":{\"unified\":{\"../cgroup.procs\":\"1\"}}", "", "linux.resources.unified[\"../cgroup.procs\"]: not the name" },
	{ "", "\"resources\":{\"unified\":{\"memory\":\"1\"}}", "", "linux.resources.unified.memory: not the name of a cgroup file" },

	{ "", "\"seccomp\":{}", "", "linux.seccomp.defaultAction: missing" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_X\"}", "", "linux.seccomp.defaultAction: unknown value \"SCMP_ACT_X\"" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "", "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "", "linux.seccomp.defaultErrnoRet: only" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}", "", "architectures[0]: unknown" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", "", "linux.seccomp.flags[0]: unknown value" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"m\"}", "", "listenerMetadata: without a" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_LOG\"}]}", "",
	  "linux.seccomp.syscalls[0].names: missing" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_LOG\"}]}", "",
	  "linux.seccomp.syscalls[0].names: must not be empty" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\","
	  "\"errnoRet\":65536}]}", "", "linux.seccomp.syscalls[0].errnoRet: expected a number from 0 to 65535" },
	{ "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\","
	  "\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}", "", "linux.seccomp.syscalls[0].args[0].index: " },

	{ "", "\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}", "", "not allowed in the host's network namespace" },
	{ "", "\"sysctl\":{\"kernel.shmmax\":\"1\"}", "", "linux.sysctl[\"kernel.shmmax\"]: not allowed in the host's ipc namespace" },
	{ "", "\"sysctl\":{\"kernel.domainname\":\"x\"}", "", "not allowed in the host's uts namespace" },
	{ "", "\"namespaces\":[{\"type\":\"uts\"}],\"sysctl\":{\"kernel.hostname\":\"x\"}", "", "it conflicts with the field hostname" },
	{ "", "\"namespaces\":[{\"type\":\"uts\"}],\"sysctl\":{\"kernel.core_pattern\":\"x\"}", "",
	  "linux.sysctl[\"kernel.core_pattern\"]: not in a separate kernel namespace" },
	{ "", "\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"net/../kernel/core_pattern\":\"x\"}", "", "not the name of a sysctl" },
	{ "", "\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"net.//.kernel.core_pattern\":\"x\"}", "", "not the name of a sysctl" },
	{ "", "\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"net..a\":\"x\"}", "", "not the name of a sysctl" },
	{ "", "\"sysctl\":{\"network\":\"x\"}", "", "linux.sysctl.network: not in a separate kernel namespace" },
	{ "", "\"sysctl\":{\"\":\"x\"}", "", "not the name of a sysctl" },
};

static void rules_are_kept(void **state HULL_UNUSED)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(rules); i++) {
		_cleanup_free_ char *text = config(rules[i].process, rules[i].linux_members, rules[i].more);
		must_refuse(text, rules[i].expected);
	}
}

static void mount_options(void **state HULL_UNUSED)
{
	static const struct {
		const char *options;
		unsigned long set, clear, propagation;
		uint64_t rec_set, rec_clear;
		const char *data;
	} cases[] = {
		{ "", 0, 0, 0, 0, 0, NULL },
		{ "defaults", 0, 0, 0, 0, 0, NULL },
		{ "ro,rw", 0, MS_RDONLY, 0, 0, 0, NULL },
		{ "rw,ro", MS_RDONLY, 0, 0, 0, 0, NULL },
		{ "nosuid,nodev,noexec", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0, 0, 0, 0, NULL },
		{ "suid,dev,exec", 0, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0, 0, 0, NULL },
		{ "sync,dirsync,mand,remount", MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_REMOUNT, 0, 0, 0, 0, NULL },
		{ "async,nomand", 0, MS_SYNCHRONOUS | MS_MANDLOCK, 0, 0, 0, NULL },
		{ "noatime,nodiratime", MS_NOATIME | MS_NODIRATIME, 0, 0, 0, 0, NULL },
		{ "relatime,strictatime,nosymfollow", MS_RELATIME | MS_STRICTATIME | MS_NOSYMFOLLOW, 0, 0, 0, 0, NULL },
		{ "shared", 0, 0, MS_SHARED, 0, 0, NULL },
		{ "rshared,rslave", 0, 0, MS_SLAVE | MS_REC, 0, 0, NULL },
		{ "runbindable", 0, 0, MS_UNBINDABLE | MS_REC, 0, 0, NULL },
		{ "rro,rnosuid,rnodev,rnoexec", 0, 0, 0,
		  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, NULL },
		{ "rro,rrw,rsuid", 0, 0, 0, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, NULL },
		{ "rnoatime", 0, 0, 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, NULL },
		{ "rnoatime,rstrictatime", 0, 0, 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, NULL },
		{ "rnoatime,rrelatime", 0, 0, 0, 0, MOUNT_ATTR__ATIME, NULL },
		{ "ratime", 0, 0, 0, 0, MOUNT_ATTR__ATIME, NULL },
		{ "rnosymfollow,rnodiratime", 0, 0, 0, MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NODIRATIME, 0, NULL },
		{ "size=1m,ro,uid=0,RO", MS_RDONLY, 0, 0, 0, 0, "size=1m,uid=0,RO" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		struct json_object *array = json_object_new_array();
		_cleanup_free_ char *copy = hull_strdup(cases[i].options);
		for (char *save = NULL, *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save))
			json_object_array_add(array, json_object_new_string(o));
		_cleanup_free_ char *mounts = hull_asprintf("\"mounts\":[{\"destination\":\"/a\",\"options\":%s}]",
							    json_object_to_json_string(array));
		json_object_put(array);
		_cleanup_free_ char *text = config("", "", mounts);
		struct hull_oci_spec *spec = must_parse(text);
		const struct hull_oci_mount *m = &spec->mounts[0];
		if (m->flags != cases[i].set || m->flags_clear != cases[i].clear || m->propagation != cases[i].propagation ||
		    m->rec_attr_set != cases[i].rec_set || m->rec_attr_clear != cases[i].rec_clear)
			fail_msg("%s", cases[i].options);
		if (cases[i].data)
			assert_string_equal(m->data, cases[i].data);
		else
			assert_null(m->data);
		hull_oci_spec_free(spec);
	}
}

static void bind_mounts(void **state HULL_UNUSED)
{
	static const struct { const char *mount; bool bind, recursive, ridmap; } cases[] = {
		{ "\"type\":\"bind\",\"source\":\"b\"", true, false, false },
		{ "\"type\":\"none\",\"source\":\"b\",\"options\":[\"bind\"]", true, false, false },
		{ "\"source\":\"b\",\"options\":[\"rbind\",\"ridmap\"]", true, true, true },
		{ "\"type\":\"tmpfs\"", false, false, false },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *mounts = hull_asprintf("\"mounts\":[{\"destination\":\"/a\",%s}]", cases[i].mount);
		_cleanup_free_ char *text = config("", "", mounts);
		struct hull_oci_spec *spec = must_parse(text);
		const struct hull_oci_mount *m = &spec->mounts[0];
		assert_true(m->is_bind == cases[i].bind && m->is_recursive == cases[i].recursive && m->ridmap == cases[i].ridmap);
		assert_true(m->flags == 0);
		hull_oci_spec_free(spec);
	}
}

#define NAMESPACES "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]"
static void what_a_vm_cannot_do_is_refused(void **state HULL_UNUSED)
{
	static const struct { const char *linux_members, *more, *expected; } cases[] = {
		{ NAMESPACES, "", NULL },
		{ "\"namespaces\":[{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]", "",
		  "linux.namespaces: no pid namespace: the container would join the host's" },
		{ "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]", "",
		  "linux.namespaces: no network namespace: the container would join the host's, which a VM cannot do" },
		{ "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]", "", "no ipc namespace" },
		{ "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"mount\"}]", "", "no uts namespace" },
		{ "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]", "", "no mount namespace" },
		{ "\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/9/ns/pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"},"
		  "{\"type\":\"ipc\",\"path\":\"/proc/9/ns/ipc\"},{\"type\":\"uts\",\"path\":\"/proc/9/ns/uts\"},{\"type\":\"mount\"}]", "",
		  NULL },
		{ "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\","
		  "\"path\":\"/proc/9/ns/mnt\"}]", "", "linux.namespaces: mount: joining" },
		{ NAMESPACES ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/s\"}", "",
		  "linux.seccomp.listenerPath: not supported: the notification fd cannot leave the VM" },
		{ NAMESPACES ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],"
		  "\"action\":\"SCMP_ACT_NOTIFY\"}]}", "", "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY is not supported" },
		{ NAMESPACES, "\"mounts\":[{\"destination\":\"/a\"},{\"destination\":\"/b\",\"options\":[\"ridmap\"]}]",
		  "mounts[1]: id-mapped mounts are not supported" },
		{ NAMESPACES, "\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}]",
		  "mounts[0]: id-mapped mounts are not supported" },
		{ NAMESPACES, "\"mounts\":[{\"destination\":\"/a\",\"type\":\"overlay\",\"source\":\"/m\",\"options\":[\"lowerdir=/l\"]}]",
		  "mounts[0]: type overlay is not supported" },
		{ NAMESPACES ",\"intelRdt\":{\"closID\":\"a\"}", "", "linux.intelRdt: not supported" },
		{ NAMESPACES ",\"resources\":{\"rdma\":{\"mlx\":{}}}", "", "linux.resources.rdma: not supported" },
		{ NAMESPACES ",\"resources\":{\"network\":{\"classID\":1}},\"mountLabel\":\"l\"", "", NULL },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		struct hull_error err = HULL_ERROR_INIT;
		_cleanup_free_ char *text = config("", cases[i].linux_members, cases[i].more);
		struct hull_oci_spec *spec = must_parse(text);
		int r = hull_oci_spec_check_supported(spec, &err);
		assert_int_equal(r, cases[i].expected ? -ENOTSUP : 0);
		if (cases[i].expected && !strstr(err.message, cases[i].expected))
			fail_msg("expected \"%s\" in \"%s\"", cases[i].expected, err.message);
		assert_int_equal(hull_oci_spec_check_own_network(spec, &err), 0);
		hull_oci_spec_free(spec);
	}
}

static void lone_objects(void **state HULL_UNUSED)
{
	static const char process[] = "{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"uid\":\"x\"}}";
	static const char resources[] = "{\"memory\":{\"limit\":1024},\"pids\":{\"limit\":5}}";
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_oci_process *p = NULL;
	struct hull_oci_resources *r = NULL;

	assert_int_equal(hull_oci_process_parse(process, strlen(process), &p, &err), -EINVAL);
	assert_string_equal(err.message, "process.user.uid: expected a number, found a string (\"x\")");
	assert_null(p);
	assert_int_equal(hull_oci_process_parse(process, 27, &p, &err), -EINVAL);
	assert_non_null(strstr(err.message, "process: line 1, column 28"));
	assert_int_equal(hull_oci_process_parse("{\"cwd\":\"/\",\"args\":[\"a\"]}", 24, &p, &err), 0);
	assert_string_equal(p->args.v[0], "a");
	hull_oci_process_free(p);

	assert_int_equal(hull_oci_resources_parse(resources, strlen(resources), &r, &err), 0);
	assert_true(r->has_memory_limit && r->memory_limit == 1024 && r->pids_limit == 5);
	hull_oci_resources_free(r);
	r = NULL;
	assert_int_equal(hull_oci_resources_parse("{\"pids\":{\"limit\":true}}", 23, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "resources.pids.limit: expected a number"));
	assert_null(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_fields), cmocka_unit_test(mount_and_hook_fields), cmocka_unit_test(linux_fields),
		cmocka_unit_test(resource_fields), cmocka_unit_test(seccomp_fields), cmocka_unit_test(ignored_fields_are_noted),
		cmocka_unit_test(zero_means_not_set), cmocka_unit_test(minus_one_means_no_limit), cmocka_unit_test(versions),
		cmocka_unit_test(tops_that_are_wrong), cmocka_unit_test(rules_are_kept), cmocka_unit_test(mount_options),
		cmocka_unit_test(bind_mounts), cmocka_unit_test(what_a_vm_cannot_do_is_refused), cmocka_unit_test(lone_objects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
