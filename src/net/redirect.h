/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of an interface tied together: what comes in at one goes out at the other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "netlink/rtnl.h"

/*
 * Everything that comes in at `from` goes out at `to`, before the stack sees it. Replaces what an earlier pod left; an ingress discipline
 * of somebody else is EBUSY.
 */
int hull_redirect_set(struct hull_rtnl *rtnl, int from, int to, struct hull_error *err);

/* Takes a redirect of ours away. `only_dead`: if its target is gone. What is not ours, or not there, is left alone. 1: it is away. */
int hull_redirect_clear(struct hull_rtnl *rtnl, int from, bool only_dead, struct hull_error *err);

/* Limits what goes out at an interface to `bps` bits per second; frames that must wait too long are dropped. */
int hull_shape_set(struct hull_rtnl *rtnl, int index, uint64_t bps, struct hull_error *err);

/* Takes a limit of ours away, if there is one. */
void hull_shape_clear(struct hull_rtnl *rtnl, int index);
