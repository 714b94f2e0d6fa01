/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a pod's supervisor. */
#pragma once

#include "rpc/pod.pb-c.h"
#include "rpc/rpc.h"

struct hull_client;

/* Connects to pods/<pod_id>/pod.sock. -ENOENT or -ECONNREFUSED when no supervisor is there. */
int hull_client_connect(const char *root, const char *pod_id, struct hull_client **ret, struct hull_error *err);

/* Uses a socket that is connected already; taken over, also on failure. */
int hull_client_from_fd(int fd, struct hull_client **ret, struct hull_error *err);

/*
 * One call of the Pod service. On success *ret_response is to be freed with protobuf_c_message_free_unpacked(); ret_response may be
 * NULL when the answer is of no interest.
 */
int hull_client_call(struct hull_client *client, const char *method, const ProtobufCMessage *request,
		     const ProtobufCMessageDescriptor *response_type, int64_t timeout_ms, const int *fds, size_t n_fds,
		     ProtobufCMessage **ret_response, struct hull_error *err);

/* Calls `method` with a ContainerRef, for an Empty. */
int hull_client_call_container(struct hull_client *client, const char *method, const char *id, int64_t timeout_ms,
			       struct hull_error *err);

/* The process that listens at the other end: the supervisor, or 0. */
pid_t hull_client_peer_pid(const struct hull_client *client);

void hull_client_free(struct hull_client *client);
static inline void hull_client_freep(struct hull_client **client)
{
	hull_client_free(*client);
}

/* Opens a unix socket address below a directory of any length, by way of the directory's descriptor. */
int hull_socket_listen(int dirfd, const char *name, struct hull_error *err);
int hull_socket_connect(int dirfd, const char *name, struct hull_error *err);
