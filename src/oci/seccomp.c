/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp profile, with names turned into libseccomp's constants. Source: runtime-spec 1.2, config-linux.md, Seccomp. */
#include <seccomp.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/parse.h"

const struct hull_json_name hull_oci_seccomp_action_names[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW }, { "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) }, { "SCMP_ACT_KILL", SCMP_ACT_KILL },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS }, { "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG }, { "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY }, { "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP }, { NULL, 0 },
};

#define NAME(name) { #name, name }
const struct hull_json_name hull_oci_seccomp_operator_names[] = {
	NAME(SCMP_CMP_EQ), NAME(SCMP_CMP_GE), NAME(SCMP_CMP_GT), NAME(SCMP_CMP_LE), NAME(SCMP_CMP_LT), NAME(SCMP_CMP_MASKED_EQ),
	NAME(SCMP_CMP_NE), { NULL, 0 },
};
#undef NAME

#define ARCH(name) { "SCMP_ARCH_" #name, SCMP_ARCH_##name }
const struct hull_json_name hull_oci_seccomp_arch_names[] = {
	ARCH(AARCH64), ARCH(ARM), ARCH(MIPS), ARCH(MIPS64), ARCH(MIPS64N32), ARCH(MIPSEL), ARCH(MIPSEL64), ARCH(MIPSEL64N32),
	ARCH(PARISC), ARCH(PARISC64), ARCH(PPC), ARCH(PPC64), ARCH(PPC64LE), ARCH(RISCV64), ARCH(S390), ARCH(S390X), ARCH(X32),
	ARCH(X86), ARCH(X86_64), { NULL, 0 },
};
#undef ARCH

const struct hull_json_name hull_oci_seccomp_flag_names[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", HULL_SECCOMP_LOG }, { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", HULL_SECCOMP_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_TSYNC", HULL_SECCOMP_TSYNC },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", HULL_SECCOMP_WAIT_KILLABLE }, { NULL, 0 },
};

/*
 * Puts the value of member `errno_key` into the action, EPERM where there is none. A value for an action that has no room
 * for one is an error, as the specification demands.
 */
static int fold_errno(const struct hull_json *object, const char *errno_key, uint32_t *action)
{
	struct hull_json value = hull_json_member(object, errno_key);
	bool has_room = *action == SCMP_ACT_ERRNO(0) || *action == SCMP_ACT_TRACE(0);
	uint64_t number = EPERM;

	if (value.value) {
		int r = hull_json_get_u64(&value, UINT16_MAX, &number);
		if (r < 0)
			return r;
		if (!has_room)
			return hull_json_error(&value, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a value");
	}
	if (has_room)
		*action |= (uint32_t)number;
	return 0;
}

/* Read by fold_errno(), when the action is known. */
static int read_later(const struct hull_json *v HULL_UNUSED, const struct hull_json_field *f HULL_UNUSED,
		      void *target HULL_UNUSED)
{
	return 0;
}

static const struct hull_json_field arg_fields[] = {
	HULL_FIELD("index", hull_json_read_u32, HULL_AT(struct hull_oci_seccomp_arg, index), .required = true, .max = 5),
	HULL_FIELD("value", hull_json_read_u64, HULL_AT(struct hull_oci_seccomp_arg, value), .required = true),
	HULL_FIELD("valueTwo", hull_json_read_u64, HULL_AT(struct hull_oci_seccomp_arg, value_two)),
	HULL_FIELD("op", hull_json_read_name32, HULL_AT(struct hull_oci_seccomp_arg, op),
		   .names = hull_oci_seccomp_operator_names,
		   .required = true),
	HULL_FIELD_END,
};
static const struct hull_json_type arg_type = { .fields = arg_fields, .size = sizeof(struct hull_oci_seccomp_arg) };

static int check_rule(const struct hull_json *v, void *target)
{
	struct hull_oci_seccomp_rule *rule = target;
	struct hull_json names = hull_json_member(v, "names");
	return rule->names.n == 0 ? hull_json_error(&names, "must not be empty") : fold_errno(v, "errnoRet", &rule->action);
}

static const struct hull_json_field rule_fields[] = {
	HULL_FIELD("names", hull_json_read_strings, HULL_AT(struct hull_oci_seccomp_rule, names), .required = true),
	HULL_FIELD("action", hull_json_read_name32, HULL_AT(struct hull_oci_seccomp_rule, action),
		   .names = hull_oci_seccomp_action_names,
		   .required = true),
	HULL_FIELD("errnoRet", read_later, 0),
	HULL_FIELD("args", hull_json_read_objects, HULL_AT(struct hull_oci_seccomp_rule, args), .type = &arg_type,
		   .aux_at = HULL_AT(struct hull_oci_seccomp_rule, n_args)),
	HULL_FIELD_END,
};
static const struct hull_json_type rule_type = {
	.fields = rule_fields, .size = sizeof(struct hull_oci_seccomp_rule), .check = check_rule,
};

static int check_seccomp(const struct hull_json *v, void *target)
{
	struct hull_oci_seccomp *s = target;
	struct hull_json action = hull_json_member(v, "defaultAction");
	struct hull_json metadata = hull_json_member(v, "listenerMetadata");

	if (s->default_action == SCMP_ACT_NOTIFY)
		return hull_json_error(&action, "SCMP_ACT_NOTIFY cannot be the default action");
	if (s->listener_metadata && !s->listener_path)
		return hull_json_error(&metadata, "without a listenerPath");
	s->present = true;
	return fold_errno(v, "defaultErrnoRet", &s->default_action);
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("defaultAction", hull_json_read_name32, HULL_AT(struct hull_oci_seccomp, default_action),
		   .names = hull_oci_seccomp_action_names, .required = true),
	HULL_FIELD("defaultErrnoRet", read_later, 0),
	HULL_FIELD("architectures", hull_json_read_u32s, HULL_AT(struct hull_oci_seccomp, architectures),
		   .aux_at = HULL_AT(struct hull_oci_seccomp, n_architectures), .names = hull_oci_seccomp_arch_names),
	HULL_FIELD("flags", hull_json_read_flags32, HULL_AT(struct hull_oci_seccomp, flags),
		   .names = hull_oci_seccomp_flag_names),
	HULL_FIELD("listenerPath", hull_json_read_string, HULL_AT(struct hull_oci_seccomp, listener_path)),
	HULL_FIELD("listenerMetadata", hull_json_read_string, HULL_AT(struct hull_oci_seccomp, listener_metadata)),
	HULL_FIELD("syscalls", hull_json_read_objects, HULL_AT(struct hull_oci_seccomp, rules), .type = &rule_type,
		   .aux_at = HULL_AT(struct hull_oci_seccomp, n_rules)),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_seccomp_type = { .fields = fields, .check = check_seccomp };

void hull_oci_seccomp_clear(struct hull_oci_seccomp *s)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		hull_strv_clear(&s->rules[i].names);
		free(s->rules[i].args);
	}
	free(s->rules);
	free(s->architectures);
	free(s->listener_path);
	free(s->listener_metadata);
	memset(s, 0, sizeof(*s));
}
