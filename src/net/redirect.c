/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ingress discipline with one filter: u32 that matches every frame (`matchall` is missing in some kernels), and the action mirred.
 * Source: tc-u32(8), tc-mirred(8); linux/pkt_cls.h, linux/tc_act/tc_mirred.h.
 */
#include "net/redirect.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

/* By its priority a filter is known as ours: "HL". */
#define PRIORITY 0x484cu
#define INGRESS_PARENT TC_H_MAKE(TC_H_INGRESS, 0)

static struct nl_msg *tc_message(int type, int flags, const struct tcmsg *tc, const char *kind)
{
	struct nl_msg *msg = hull_rtnl_message(type, flags, tc, sizeof(*tc));
	if (kind)
		nla_put_string(msg, TCA_KIND, kind);
	return msg;
}

static int add_discipline(struct hull_rtnl *rtnl, int index, struct hull_error *err)
{
	const struct tcmsg tc = { .tcm_ifindex = index, .tcm_parent = TC_H_INGRESS, .tcm_handle = INGRESS_PARENT };
	return hull_rtnl_request(rtnl, tc_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tc, "ingress"), err);
}

static int delete_discipline(struct hull_rtnl *rtnl, int index, struct hull_error *err)
{
	const struct tcmsg tc = { .tcm_ifindex = index, .tcm_parent = TC_H_INGRESS, .tcm_handle = INGRESS_PARENT };
	return hull_rtnl_request(rtnl, tc_message(RTM_DELQDISC, 0, &tc, NULL), err);
}

static int add_filter(struct hull_rtnl *rtnl, int from, int to, struct hull_error *err)
{
	const struct tcmsg tc = {
		.tcm_ifindex = from, .tcm_parent = INGRESS_PARENT, .tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)),
	};
	const struct tc_mirred mirred = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)to };
	/* One key that is always true: no bit of the first word has to be anything. */
	struct { struct tc_u32_sel sel; struct tc_u32_key key; } every = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };

	struct nl_msg *msg = tc_message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc, "u32");
	struct nlattr *options = nla_nest_start(msg, TCA_OPTIONS);
	nla_put(msg, TCA_U32_SEL, sizeof(every), &every);
	struct nlattr *actions = nla_nest_start(msg, TCA_U32_ACT);
	struct nlattr *first = nla_nest_start(msg, 1);
	nla_put_string(msg, TCA_ACT_KIND, "mirred");
	struct nlattr *parameters = nla_nest_start(msg, TCA_ACT_OPTIONS);
	nla_put(msg, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	nla_nest_end(msg, parameters);
	nla_nest_end(msg, first);
	nla_nest_end(msg, actions);
	nla_nest_end(msg, options);
	return hull_rtnl_request(rtnl, msg, err);
}

/* What the filters of an interface say about whose they are. */
struct owner {
	bool ours, others, alive;
};

/* Whether the filter's action still has an interface to send to. */
static bool has_target(struct nlattr *options)
{
	struct nlattr *u32[TCA_U32_MAX + 1], *list[2], *action[TCA_ACT_MAX + 1], *mirred[TCA_MIRRED_MAX + 1];
	if (!options || nla_parse_nested(u32, TCA_U32_MAX, options, NULL) < 0 || !u32[TCA_U32_ACT] ||
	    nla_parse_nested(list, 1, u32[TCA_U32_ACT], NULL) < 0 || !list[1] ||
	    nla_parse_nested(action, TCA_ACT_MAX, list[1], NULL) < 0 || !action[TCA_ACT_OPTIONS] ||
	    nla_parse_nested(mirred, TCA_MIRRED_MAX, action[TCA_ACT_OPTIONS], NULL) < 0 || !mirred[TCA_MIRRED_PARMS] ||
	    nla_len(mirred[TCA_MIRRED_PARMS]) < (int)sizeof(struct tc_mirred))
		return false;
	/* Source: linux net/sched/act_mirred.c, tcf_mirred_dump(): 0 once the interface is gone. */
	return ((const struct tc_mirred *)nla_data(mirred[TCA_MIRRED_PARMS]))->ifindex != 0;
}

static int look_at_filter(const struct nlmsghdr *h, void *data)
{
	struct owner *o = data;
	const struct tcmsg *tc = nlmsg_data(h);
	struct nlattr *tb[TCA_MAX + 1];
	if (h->nlmsg_type != RTM_NEWTFILTER || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(*tc), tb, TCA_MAX, NULL) < 0)
		return 0;
	if (TC_H_MAJ(tc->tcm_info) >> 16 != PRIORITY)
		o->others = true;
	else
		o->ours = true;
	o->alive = o->alive || has_target(tb[TCA_OPTIONS]);
	return 0;
}

static int find_owner(struct hull_rtnl *rtnl, int index, struct owner *ret, struct hull_error *err)
{
	const struct tcmsg tc = { .tcm_ifindex = index, .tcm_parent = INGRESS_PARENT };
	*ret = (struct owner){ 0 };
	return hull_rtnl_dump(rtnl, RTM_GETTFILTER, &tc, sizeof(tc), look_at_filter, ret, err);
}

int hull_redirect_set(struct hull_rtnl *rtnl, int from, int to, struct hull_error *err)
{
	struct owner owner;
	int r = add_discipline(rtnl, from, err);
	if (r == -EEXIST) {
		hull_error_clear(err);
		r = find_owner(rtnl, from, &owner, err);
		if (r == 0 && (owner.others || !owner.ours))
			return hull_error_set(err, EBUSY, "it has an ingress discipline that is not Hull's (tc qdisc show)");
		if (r == 0 && owner.alive)
			return hull_error_set(err, EBUSY, "another pod uses it");
		if (r == 0)
			r = delete_discipline(rtnl, from, err);
		if (r == 0)
			r = add_discipline(rtnl, from, err);
	}
	return r < 0 ? r : add_filter(rtnl, from, to, err);
}

int hull_redirect_clear(struct hull_rtnl *rtnl, int from, bool only_dead, struct hull_error *err)
{
	struct owner owner;
	int r = find_owner(rtnl, from, &owner, err);
	if (r < 0 || !owner.ours || owner.others || (only_dead && owner.alive))
		return r;
	r = delete_discipline(rtnl, from, err);
	return r < 0 ? r : 1;
}
