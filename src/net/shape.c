/* SPDX-License-Identifier: Apache-2.0 */
/* Token bucket filters. Source: tc-tbf(8), linux net/sched/sch_tbf.c. */
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "net/redirect.h"

/* Ours are known by their handle: "HL". */
#define HANDLE (0x484cu << 16)
/* How long a frame may wait, and for how long the bucket holds tokens: emulated guests are served in bursts. */
#define LATENCY_MS 100
#define BURST_MS 50
/* One segment that a guest left to the hardware, with its headers. */
#define BURST_MIN_BYTES (66u << 10)
#define BURST_MAX_BYTES (64u << 20)

int hull_shape_set(struct hull_rtnl *rtnl, int index, uint64_t bps, struct hull_error *err)
{
	const uint64_t bytes_per_s = bps / 8 ? bps / 8 : 1;
	uint64_t burst = bytes_per_s * BURST_MS / 1000, waiting = bytes_per_s * LATENCY_MS / 1000;
	if (burst < BURST_MIN_BYTES)
		burst = BURST_MIN_BYTES;
	if (burst > BURST_MAX_BYTES)
		burst = BURST_MAX_BYTES;
	if (waiting > BURST_MAX_BYTES)
		waiting = BURST_MAX_BYTES;
	const struct tcmsg tc = { .tcm_ifindex = index, .tcm_parent = TC_H_ROOT, .tcm_handle = HANDLE };
	const struct tc_tbf_qopt options = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = bytes_per_s > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_per_s },
		.limit = (uint32_t)(burst + waiting),
	};
	struct nl_msg *msg = hull_rtnl_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &tc, sizeof(tc));
	nla_put_string(msg, TCA_KIND, "tbf");
	struct nlattr *nest = nla_nest_start(msg, TCA_OPTIONS);
	nla_put(msg, TCA_TBF_PARMS, sizeof(options), &options);
	nla_put_u32(msg, TCA_TBF_BURST, (uint32_t)burst);
	if (bytes_per_s > UINT32_MAX)
		nla_put_u64(msg, TCA_TBF_RATE64, bytes_per_s);
	nla_nest_end(msg, nest);
	int r = hull_rtnl_request(rtnl, msg, err);
	return r < 0 ? hull_error_wrap(err, "limit its bandwidth (the kernel needs sch_tbf)") : 0;
}

void hull_shape_clear(struct hull_rtnl *rtnl, int index)
{
	const struct tcmsg tc = { .tcm_ifindex = index, .tcm_parent = TC_H_ROOT, .tcm_handle = HANDLE };
	struct hull_error ignored = HULL_ERROR_INIT;
	/* By its handle: a discipline of somebody else has another one, and then there is none to delete. */
	hull_rtnl_request(rtnl, hull_rtnl_message(RTM_DELQDISC, 0, &tc, sizeof(tc)), &ignored);
}
