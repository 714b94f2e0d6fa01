/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/devices.h"

#include <string.h>
#include <unistd.h>

#include "base/bpf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define ACCESS_ALL (HULL_DEV_MKNOD | HULL_DEV_READ | HULL_DEV_WRITE)

/* Source: runtime-spec config-linux.md, "Default Devices"; runc adds mknod of anything, which alone opens nothing. */
static const struct hull_oci_device_rule defaults[] = {
	{ true, 'c', -1, -1, HULL_DEV_MKNOD },
	{ true, 'b', -1, -1, HULL_DEV_MKNOD },
	{ true, 'c', 1, 3, ACCESS_ALL },       /* null */
	{ true, 'c', 1, 5, ACCESS_ALL },       /* zero */
	{ true, 'c', 1, 7, ACCESS_ALL },       /* full */
	{ true, 'c', 1, 8, ACCESS_ALL },       /* random */
	{ true, 'c', 1, 9, ACCESS_ALL },       /* urandom */
	{ true, 'c', 5, 0, ACCESS_ALL },       /* tty */
	{ true, 'c', 5, 2, ACCESS_ALL },       /* ptmx */
	{ true, 'c', 136, -1, ACCESS_ALL },    /* pts/N */
};

struct program {
	struct bpf_insn *v;
	size_t n, room;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->v = hull_reallocarray(p->v, p->room, sizeof(*p->v));
	}
	p->v[p->n++] = (struct bpf_insn){ .code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm };
}

/* r2 type, r3 access, r4 major, r5 minor. Source: linux/bpf.h, struct bpf_cgroup_dev_ctx. */
static void emit_prologue(struct program *p)
{
	const uint8_t load = BPF_LDX | BPF_MEM | BPF_W;
	emit(p, load, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	emit(p, load, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, load, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

static void emit_return(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* The jumps of one rule all go to the next rule; their offsets are known when its length is. */
struct block {
	struct program *p;
	size_t jumps[5], n;
};

static void jump_to_next(struct block *b, uint8_t op, uint8_t reg, int32_t imm)
{
	b->jumps[b->n++] = b->p->n;
	emit(b->p, (uint8_t)(BPF_JMP | op | BPF_K), reg, 0, 0, imm);
}

static void emit_rule(struct program *p, const struct hull_oci_device_rule *rule)
{
	struct block b = { .p = p };

	if (rule->type != 'a')
		jump_to_next(&b, BPF_JNE, BPF_REG_2, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (rule->major >= 0)
		jump_to_next(&b, BPF_JNE, BPF_REG_4, (int32_t)rule->major);
	if (rule->minor >= 0)
		jump_to_next(&b, BPF_JNE, BPF_REG_5, (int32_t)rule->minor);

	unsigned access = rule->access & ACCESS_ALL;
	if (access != ACCESS_ALL) {
		/* An allowance speaks for requests that ask for no more than it gives, a refusal for those that ask
		 * for any of what it takes. */
		emit(p, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		emit(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int32_t)(rule->allow ? ~access & ACCESS_ALL : access));
		jump_to_next(&b, rule->allow ? BPF_JNE : BPF_JEQ, BPF_REG_1, 0);
	}
	emit_return(p, rule->allow);
	for (size_t i = 0; i < b.n; i++)
		p->v[b.jumps[i]].off = (int16_t)(p->n - b.jumps[i] - 1);
}

static bool same_device(const struct hull_oci_device_rule *a, const struct hull_oci_device_rule *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static bool is_final(const struct hull_oci_device_rule *rule)
{
	return rule->type == 'a' && rule->major < 0 && rule->minor < 0 && (rule->access & ACCESS_ALL) == ACCESS_ALL;
}

/* "c 1:3 r" and then "c 1:3 w" together allow "rw": neighbours about one device are one rule. */
static size_t merge(struct hull_oci_device_rule *rules, size_t n)
{
	size_t out = 0;
	for (size_t i = 0; i < n; i++) {
		if (rules[i].access == 0)
			continue;
		if (out > 0 && rules[out - 1].allow == rules[i].allow && same_device(&rules[out - 1], &rules[i]))
			rules[out - 1].access |= rules[i].access;
		else
			rules[out++] = rules[i];
	}
	return out;
}

int hull_devices_compile(const struct hull_oci_device_rule *rules, size_t n, struct bpf_insn **ret, size_t *ret_n,
			 bool *ret_allow_all)
{
	if (n > HULL_DEVICE_RULES_MAX)
		return -E2BIG;
	size_t total = n + HULL_ARRAY_SIZE(defaults);
	_cleanup_free_ struct hull_oci_device_rule *all = hull_new(struct hull_oci_device_rule, total);
	if (n)
		memcpy(all, rules, n * sizeof(*rules));
	memcpy(all + n, defaults, sizeof(defaults));
	total = merge(all, total);

	struct program p = { 0 };
	bool refused = false;
	*ret_allow_all = false;
	emit_prologue(&p);
	/* The last rule that matches decides, so it is asked first. */
	while (total-- > 0) {
		const struct hull_oci_device_rule *rule = &all[total];
		if (is_final(rule)) {
			*ret_allow_all = rule->allow && !refused;
			emit_return(&p, rule->allow);
			break;
		}
		refused = refused || !rule->allow;
		emit_rule(&p, rule);
	}
	if (total == SIZE_MAX)
		emit_return(&p, false);
	*ret = p.v;
	*ret_n = p.n;
	return 0;
}

int hull_devices_apply(int cgroup_fd, const struct hull_oci_device_rule *rules, size_t n, struct hull_error *err)
{
	_cleanup_free_ struct bpf_insn *program = NULL;
	size_t n_insns;
	bool allow_all;
	int r = hull_devices_compile(rules, n, &program, &n_insns, &allow_all);
	if (r < 0)
		return hull_error_errno(err, r, "linux.resources.devices");
	if (allow_all)
		return 0;

	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (uint32_t)n_insns,
		.insns = (uintptr_t)program,
		.license = (uintptr_t)"Apache-2.0",
	};
	_cleanup_close_ int fd = hull_bpf(BPF_PROG_LOAD, &load);
	if (fd < 0)
		return hull_error_errno(err, fd, "linux.resources.devices: load the device filter");

	union bpf_attr attach = {
		.target_fd = (uint32_t)cgroup_fd,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};
	r = hull_bpf(BPF_PROG_ATTACH, &attach);
	return r < 0 ? hull_error_errno(err, r, "linux.resources.devices: attach the device filter") : 0;
}
