/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the kernel's routing tables over rtnetlink, one at a time, on both sides: messages are built and read with libnl's
 * functions for attributes, and a refusal comes back as an errno with the kernel's own words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/error.h"

struct hull_rtnl;

/* A socket to the network namespace in which the calling thread is now, and stays bound to it. */
int hull_rtnl_open(struct hull_rtnl **ret, struct hull_error *err);

/* NULL is fine. */
void hull_rtnl_free(struct hull_rtnl *rtnl);
static inline void hull_rtnl_freep(struct hull_rtnl **rtnl)
{
	hull_rtnl_free(*rtnl);
}

/*
 * A message of `type` with its family header, to which attributes are put with nla_put_…(). NLM_F_REQUEST and NLM_F_ACK are added.
 * Never NULL. Freed by hull_rtnl_request(), or by nlmsg_free().
 */
struct nl_msg *hull_rtnl_message(int type, int flags, const void *header, size_t size);

/* Sends the message, which it frees, and waits for the acknowledgement. 0 or -errno; the message in `err` is the kernel's. */
int hull_rtnl_request(struct hull_rtnl *rtnl, struct nl_msg *msg, struct hull_error *err);

/*
 * Calls `fn` for each entry of a table (RTM_GETLINK and so on); a non-zero answer of it ends the walk and is returned. A table that
 * changed meanwhile is read as it came: whoever needs it whole listens for the change.
 */
int hull_rtnl_dump(struct hull_rtnl *rtnl, int type, const void *header, size_t size,
		   int (*fn)(const struct nlmsghdr *message, void *data), void *data, struct hull_error *err);

/* A non-blocking socket that becomes readable when one of the groups (RTNLGRP_…) reports something. The fd or -errno. */
int hull_rtnl_listen(const int *groups, size_t n, struct hull_error *err);

/* Reads what a socket of hull_rtnl_listen() has. True when there was something: it says no more than that. */
bool hull_rtnl_drain(int fd);
