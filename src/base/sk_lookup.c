/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sk_lookup.h"

#include <stdio.h>

#include "base/bpf.h"
#include "base/cleanup.h"

int hull_sk_lookup_map(const int *sockets, uint32_t n)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = sizeof(uint32_t), .value_size = sizeof(uint64_t), .max_entries = n };
	_cleanup_close_ int map = hull_bpf(BPF_MAP_CREATE, &attr);
	for (uint32_t key = 0; map >= 0 && key < n; key++) {
		uint64_t value = (uint64_t)sockets[key];
		attr = (union bpf_attr){ .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value };
		int r = hull_bpf(BPF_MAP_UPDATE_ELEM, &attr);
		if (r < 0)
			return r;
	}
	return TAKE_FD(map);
}

int hull_sk_lookup_attach(const struct bpf_insn *program, uint32_t n, const char *name, int netns_fd, struct hull_error *err)
{
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP, .insns = (uintptr_t)program,
				.insn_cnt = n, .license = (uintptr_t)"GPL" };
	snprintf(load.prog_name, sizeof(load.prog_name), "%s", name);
	_cleanup_close_ int fd = hull_bpf(BPF_PROG_LOAD, &load);
	if (fd < 0)
		return hull_error_errno(err, fd, "load a BPF program");
	union bpf_attr attach = { .link_create = { .prog_fd = (uint32_t)fd, .target_fd = (uint32_t)netns_fd, .attach_type = BPF_SK_LOOKUP } };
	int link = hull_bpf(BPF_LINK_CREATE, &attach);
	return link < 0 ? hull_error_errno(err, link, "attach a BPF program to the network namespace") : link;
}
