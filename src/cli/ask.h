/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "cli/client.h"

/*
 * A question about one running container: finds its pod, connects, calls `method` with a ContainerRef. The answer is
 * freed with protobuf_c_message_free_unpacked(). A stopped container: -ESRCH, "container not running".
 */
int hull_ask_container(const struct hull_cli *cli, const char *id, const char *method, const ProtobufCMessageDescriptor *answer_type,
		       ProtobufCMessage **ret, struct hull_error *err);

/* Connects to the pod of a running container. */
int hull_ask_connect(const struct hull_cli *cli, const char *id, struct hull_client **ret, struct hull_error *err);
