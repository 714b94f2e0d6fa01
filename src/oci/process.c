/* SPDX-License-Identifier: Apache-2.0 */
/* The process object: what runs, as whom, and with what limits. Source: runtime-spec 1.2, config.md, Process. */
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "oci/parse.h"

static const struct hull_json_field user_fields[] = {
	HULL_FIELD("uid", hull_json_read_u32, HULL_AT(struct hull_oci_user, uid)),
	HULL_FIELD("gid", hull_json_read_u32, HULL_AT(struct hull_oci_user, gid)),
	HULL_FIELD("umask", hull_json_read_u32, HULL_AT(struct hull_oci_user, umask), .max = 0777,
		   .present_at = HULL_AT(struct hull_oci_user, has_umask)),
	HULL_FIELD("additionalGids", hull_json_read_u32s, HULL_AT(struct hull_oci_user, additional_gids),
		   .aux_at = HULL_AT(struct hull_oci_user, n_additional_gids)),
	HULL_FIELD("username", hull_json_read_string, HULL_AT(struct hull_oci_user, username)),
	HULL_FIELD_END,
};
static const struct hull_json_type user_type = { .fields = user_fields };

static const struct hull_json_field console_fields[] = {
	HULL_FIELD("height", hull_json_read_u32, HULL_AT(struct hull_oci_process, console_height), .max = UINT16_MAX,
		   .required = true),
	HULL_FIELD("width", hull_json_read_u32, HULL_AT(struct hull_oci_process, console_width), .max = UINT16_MAX,
		   .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type console_type = { .fields = console_fields };

static const struct hull_json_name rlimit_names[] = {
	{ "RLIMIT_AS", RLIMIT_AS }, { "RLIMIT_CORE", RLIMIT_CORE }, { "RLIMIT_CPU", RLIMIT_CPU }, { "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE }, { "RLIMIT_LOCKS", RLIMIT_LOCKS }, { "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE }, { "RLIMIT_NICE", RLIMIT_NICE }, { "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC }, { "RLIMIT_RSS", RLIMIT_RSS }, { "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME }, { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING }, { "RLIMIT_STACK", RLIMIT_STACK },
	{ NULL, 0 },
};

static int check_rlimit(const struct hull_json *v, void *target)
{
	const struct hull_oci_rlimit *limit = target;
	struct hull_json soft = hull_json_member(v, "soft");
	return limit->soft > limit->hard ? hull_json_error(&soft, "above the hard limit") : 0;
}

static const struct hull_json_field rlimit_fields[] = {
	HULL_FIELD("type", hull_json_read_name32, HULL_AT(struct hull_oci_rlimit, resource), .names = rlimit_names,
		   .required = true),
	HULL_FIELD("soft", hull_json_read_u64, HULL_AT(struct hull_oci_rlimit, soft), .required = true),
	HULL_FIELD("hard", hull_json_read_u64, HULL_AT(struct hull_oci_rlimit, hard), .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type rlimit_type = {
	.fields = rlimit_fields, .size = sizeof(struct hull_oci_rlimit), .check = check_rlimit,
};

/* Source: sched_setattr(2). */
static const struct hull_json_name policy_names[] = {
	{ "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR }, { "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", 4 }, { "SCHED_IDLE", SCHED_IDLE }, { "SCHED_DEADLINE", SCHED_DEADLINE }, { NULL, 0 },
};

static const struct hull_json_name scheduler_flag_names[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK }, { "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN }, { "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS }, { "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX }, { NULL, 0 },
};

static int check_scheduler(const struct hull_json *v, void *target)
{
	struct hull_oci_scheduler *s = target;
	struct hull_json priority = hull_json_member(v, "priority");

	if (s->priority != 0 && s->policy != SCHED_FIFO && s->policy != SCHED_RR)
		return hull_json_error(&priority, "only SCHED_FIFO and SCHED_RR have a priority");
	if ((s->runtime || s->deadline || s->period) && s->policy != SCHED_DEADLINE)
		return hull_json_error(v, "only SCHED_DEADLINE has a runtime, a deadline and a period");
	s->present = true;
	return 0;
}

static const struct hull_json_field scheduler_fields[] = {
	HULL_FIELD("policy", hull_json_read_name32, HULL_AT(struct hull_oci_scheduler, policy), .names = policy_names,
		   .required = true),
	HULL_FIELD("nice", hull_json_read_i32, HULL_AT(struct hull_oci_scheduler, nice), .min = -20, .max = 19),
	HULL_FIELD("priority", hull_json_read_i32, HULL_AT(struct hull_oci_scheduler, priority)),
	HULL_FIELD("flags", hull_json_read_flags64, HULL_AT(struct hull_oci_scheduler, flags), .names = scheduler_flag_names),
	HULL_FIELD("runtime", hull_json_read_u64, HULL_AT(struct hull_oci_scheduler, runtime)),
	HULL_FIELD("deadline", hull_json_read_u64, HULL_AT(struct hull_oci_scheduler, deadline)),
	HULL_FIELD("period", hull_json_read_u64, HULL_AT(struct hull_oci_scheduler, period)),
	HULL_FIELD_END,
};
static const struct hull_json_type scheduler_type = { .fields = scheduler_fields, .check = check_scheduler };

static const struct hull_json_name io_class_names[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT }, { "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE }, { "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ NULL, 0 },
};

static const struct hull_json_field io_priority_fields[] = {
	HULL_FIELD("class", hull_json_read_name32, HULL_AT(struct hull_oci_process, io_class), .names = io_class_names,
		   .required = true),
	HULL_FIELD("priority", hull_json_read_i32, HULL_AT(struct hull_oci_process, io_priority), .min = 0,
		   .max = IOPRIO_NR_LEVELS - 1),
	HULL_FIELD_END,
};
static const struct hull_json_type io_priority_type = { .fields = io_priority_fields };

struct cpu_affinity {
	char *initial, *final;
};

static const struct hull_json_field cpu_affinity_fields[] = {
	HULL_FIELD("initial", hull_oci_read_cpu_list, HULL_AT(struct cpu_affinity, initial)),
	HULL_FIELD("final", hull_oci_read_cpu_list, HULL_AT(struct cpu_affinity, final)),
	HULL_FIELD_END,
};
static const struct hull_json_type cpu_affinity_type = { .fields = cpu_affinity_fields };

static int read_cpu_affinity(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	struct hull_oci_process *p = target;
	struct cpu_affinity lists = { NULL, NULL };

	int r = hull_json_read_struct(v, &cpu_affinity_type, &lists);
	if (r == 0 && (lists.initial || lists.final)) {
		hull_strv_add(&p->exec_cpu_affinity, lists.initial ? lists.initial : "");
		hull_strv_add(&p->exec_cpu_affinity, lists.final ? lists.final : "");
	}
	free(lists.initial);
	free(lists.final);
	return r;
}

/* Security modules of the host do not reach into the VM, which is the stronger border; the guest has none. */
static int read_label(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_string(v, f, target);
	if (r == 0)
		hull_json_ignore(v);
	return r;
}

static int check_process(const struct hull_json *v, void *target)
{
	const struct hull_oci_process *p = target;

	struct hull_json args = hull_json_member(v, "args");
	if (p->args.n == 0)
		return hull_json_error(&args, "must not be empty");
	struct hull_json arg0 = hull_json_element(&args, 0);
	if (!*p->args.v[0])
		return hull_json_error(&arg0, "must not be empty");

	struct hull_json limits = hull_json_member(v, "rlimits");
	unsigned seen = 0;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		unsigned bit = 1u << p->rlimits[i].resource;
		struct hull_json limit = hull_json_element(&limits, i);
		struct hull_json type = hull_json_member(&limit, "type");
		if (seen & bit)
			return hull_json_error(&type, "%s occurs twice", json_object_get_string(type.value));
		seen |= bit;
	}
	return 0;
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("terminal", hull_json_read_bool, HULL_AT(struct hull_oci_process, terminal)),
	HULL_FIELD("consoleSize", hull_json_read_object, 0, .type = &console_type,
		   .present_at = HULL_AT(struct hull_oci_process, has_console_size)),
	HULL_FIELD("user", hull_json_read_object, HULL_AT(struct hull_oci_process, user), .type = &user_type),
	HULL_FIELD("args", hull_json_read_strings, HULL_AT(struct hull_oci_process, args)),
	HULL_FIELD("env", hull_json_read_strings, HULL_AT(struct hull_oci_process, env)),
	HULL_FIELD("cwd", hull_json_read_absolute, HULL_AT(struct hull_oci_process, cwd), .required = true),
	HULL_FIELD("capabilities", hull_json_read_object, HULL_AT(struct hull_oci_process, capabilities),
		   .type = &hull_oci_capabilities_type),
	HULL_FIELD("rlimits", hull_json_read_objects, HULL_AT(struct hull_oci_process, rlimits), .type = &rlimit_type,
		   .aux_at = HULL_AT(struct hull_oci_process, n_rlimits)),
	HULL_FIELD("noNewPrivileges", hull_json_read_bool, HULL_AT(struct hull_oci_process, no_new_privileges)),
	HULL_FIELD("apparmorProfile", read_label, HULL_AT(struct hull_oci_process, apparmor_profile)),
	HULL_FIELD("selinuxLabel", read_label, HULL_AT(struct hull_oci_process, selinux_label)),
	HULL_FIELD("oomScoreAdj", hull_json_read_i32, HULL_AT(struct hull_oci_process, oom_score_adj), .min = -1000,
		   .max = 1000,
		   .present_at = HULL_AT(struct hull_oci_process, has_oom_score_adj)),
	HULL_FIELD("scheduler", hull_json_read_object, HULL_AT(struct hull_oci_process, scheduler), .type = &scheduler_type),
	HULL_FIELD("ioPriority", hull_json_read_object, 0, .type = &io_priority_type,
		   .present_at = HULL_AT(struct hull_oci_process, has_io_priority)),
	HULL_FIELD("execCPUAffinity", read_cpu_affinity, 0),
	HULL_FIELD("commandLine", hull_json_read_ignored, 0),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_process_type = { .fields = fields, .check = check_process };

void hull_oci_process_clear(struct hull_oci_process *p)
{
	free(p->user.additional_gids);
	free(p->user.username);
	hull_strv_clear(&p->args);
	hull_strv_clear(&p->env);
	free(p->cwd);
	hull_strv_clear(&p->capabilities.unknown);
	free(p->rlimits);
	free(p->apparmor_profile);
	free(p->selinux_label);
	hull_strv_clear(&p->exec_cpu_affinity);
	memset(p, 0, sizeof(*p));
}
