/* SPDX-License-Identifier: Apache-2.0 */
/* The device filter, run by an interpreter that knows only the instructions it may consist of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/devices.h"
#include "base/cleanup.h"

#define R HULL_DEV_READ
#define W HULL_DEV_WRITE
#define M HULL_DEV_MKNOD

static uint64_t source(const struct bpf_insn *insn, const uint64_t *reg)
{
	return BPF_SRC(insn->code) == BPF_X ? reg[insn->src_reg] : (uint64_t)(int64_t)insn->imm;
}

static void alu(const struct bpf_insn *insn, uint64_t *reg)
{
	uint64_t operand = source(insn, reg), *dst = &reg[insn->dst_reg];
	switch (BPF_OP(insn->code)) {
	case BPF_MOV:
		*dst = operand;
		break;
	case BPF_AND:
		*dst &= operand;
		break;
	case BPF_RSH:
		*dst >>= operand;
		break;
	default:
		fail_msg("unknown operation %#x", insn->code);
	}
	if (BPF_CLASS(insn->code) == BPF_ALU)
		*dst = (uint32_t)*dst;
}

static bool jumps(const struct bpf_insn *insn, const uint64_t *reg)
{
	uint64_t operand = source(insn, reg), value = reg[insn->dst_reg];
	assert_true(BPF_OP(insn->code) == BPF_JNE || BPF_OP(insn->code) == BPF_JEQ);
	return BPF_OP(insn->code) == BPF_JNE ? value != operand : value == operand;
}

/* Forward jumps only, so it ends; running off the end or reading beside the context fails the test. */
static uint64_t run(const struct bpf_insn *program, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[11] = { 0 };
	bool context_lost = false;
	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *insn = &program[pc];
		switch (BPF_CLASS(insn->code)) {
		case BPF_LDX:
			assert_int_equal(insn->src_reg, BPF_REG_1);
			assert_false(context_lost);
			assert_true(insn->off >= 0 && (size_t)insn->off + 4 <= sizeof(*ctx));
			reg[insn->dst_reg] = *(const uint32_t *)((const char *)ctx + insn->off);
			break;
		case BPF_ALU:
		case BPF_ALU64:
			alu(insn, reg);
			context_lost = context_lost || insn->dst_reg == BPF_REG_1;
			break;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_EXIT)
				return reg[0];
			assert_true(insn->off >= 0);
			if (jumps(insn, reg))
				pc += (size_t)insn->off;
			break;
		default:
			fail_msg("unknown instruction %#x", insn->code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

struct filter {
	struct bpf_insn *program;
	size_t n;
	bool allow_all;
};

static struct filter compile(const struct hull_oci_device_rule *rules, size_t n)
{
	struct filter f;
	assert_int_equal(hull_devices_compile(rules, n, &f.program, &f.n, &f.allow_all), 0);
	return f;
}

static bool allows(const struct filter *f, char type, uint32_t major, uint32_t minor, unsigned access)
{
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major, .minor = minor,
	};
	return run(f->program, f->n, &ctx) != 0;
}

static void only_the_default_devices_without_rules(void **state)
{
	struct filter f = compile(NULL, 0);
	assert_false(f.allow_all);
	assert_true(allows(&f, 'c', 1, 3, R | W));
	assert_true(allows(&f, 'c', 1, 9, R));
	assert_true(allows(&f, 'c', 5, 2, R | W));
	assert_true(allows(&f, 'c', 136, 77, R | W));
	assert_true(allows(&f, 'b', 8, 0, M));
	assert_false(allows(&f, 'b', 8, 0, R));
	assert_false(allows(&f, 'b', 8, 0, M | R));
	assert_false(allows(&f, 'c', 1, 11, R));
	assert_false(allows(&f, 'b', 1, 3, R));
	free(f.program);
}

static void what_engines_send(void **state)
{
	const struct hull_oci_device_rule rules[] = {
		{ false, 'a', -1, -1, R | W | M },
		{ true, 'c', 10, 229, R | W | M },
		{ true, 'b', 253, -1, R },
	};
	struct filter f = compile(rules, HULL_ARRAY_SIZE(rules));
	assert_true(allows(&f, 'c', 10, 229, R | W));
	assert_false(allows(&f, 'c', 10, 200, R));
	assert_true(allows(&f, 'b', 253, 9, R));
	assert_false(allows(&f, 'b', 253, 9, R | W));
	assert_false(allows(&f, 'b', 253, 9, W));
	assert_true(allows(&f, 'c', 1, 5, R | W | M));
	free(f.program);
}

static void a_privileged_container_needs_no_filter(void **state)
{
	const struct hull_oci_device_rule rules[] = { { false, 'a', -1, -1, R | W | M }, { true, 'a', -1, -1, R | W | M } };
	struct filter f = compile(rules, HULL_ARRAY_SIZE(rules));
	assert_true(f.allow_all);
	assert_true(allows(&f, 'b', 8, 0, R | W | M));
	free(f.program);
}

static void the_last_rule_decides(void **state)
{
	const struct hull_oci_device_rule rules[] = {
		{ true, 'a', -1, -1, R | W | M },
		{ false, 'b', 8, -1, W },
		{ true, 'b', 8, 16, W },
	};
	struct filter f = compile(rules, HULL_ARRAY_SIZE(rules));
	assert_false(f.allow_all);
	assert_true(allows(&f, 'b', 8, 0, R));
	assert_false(allows(&f, 'b', 8, 0, W));
	assert_false(allows(&f, 'b', 8, 0, R | W));
	assert_true(allows(&f, 'b', 8, 16, W));
	assert_true(allows(&f, 'b', 9, 0, R | W));
	free(f.program);
}

static void neighbouring_allowances_add_up(void **state)
{
	const struct hull_oci_device_rule rules[] = { { true, 'c', 4, 1, R }, { true, 'c', 4, 1, W }, { true, 'c', 4, 2, 0 } };
	struct filter f = compile(rules, HULL_ARRAY_SIZE(rules));
	assert_true(allows(&f, 'c', 4, 1, R | W));
	assert_false(allows(&f, 'c', 4, 1, R | W | M));
	assert_false(allows(&f, 'c', 4, 2, R));
	free(f.program);
}

static void too_many_rules_are_refused(void **state)
{
	struct hull_oci_device_rule *rules = calloc(HULL_DEVICE_RULES_MAX + 1, sizeof(*rules));
	struct filter f;
	assert_non_null(rules);
	assert_int_equal(hull_devices_compile(rules, HULL_DEVICE_RULES_MAX + 1, &f.program, &f.n, &f.allow_all), -E2BIG);
	free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_default_devices_without_rules),
		cmocka_unit_test(what_engines_send),
		cmocka_unit_test(a_privileged_container_needs_no_filter),
		cmocka_unit_test(the_last_rule_decides),
		cmocka_unit_test(neighbouring_allowances_add_up),
		cmocka_unit_test(too_many_rules_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
