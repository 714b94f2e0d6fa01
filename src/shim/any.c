/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/any.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define NS_PER_S INT64_C(1000000000)
/* As rpc/codec.c: an honest message needs about five times its size. */
#define BUDGET_FACTOR 8
#define BUDGET_BASE (64u << 10)

uint8_t *shim_pack(const ProtobufCMessage *message, size_t *ret_len)
{
	*ret_len = protobuf_c_message_get_packed_size(message);
	uint8_t *data = hull_new(uint8_t, *ret_len ? *ret_len : 1);
	protobuf_c_message_pack(message, data);
	return data;
}

static void *budget_alloc(void *data, size_t size)
{
	size_t *left = data;
	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

ProtobufCMessage *shim_unpack(const ProtobufCMessageDescriptor *type, size_t len, const uint8_t *data)
{
	size_t left = len * BUDGET_FACTOR + BUDGET_BASE;
	ProtobufCAllocator allocator = { .alloc = budget_alloc, .free = budget_free, .allocator_data = &left };
	return protobuf_c_message_unpack(type, &allocator, len, data);
}

bool shim_any_is(const Hull__Containerd__Any *any, const char *name)
{
	size_t url = strlen(any->type_url), n = strlen(name);
	if (url < n || strcmp(any->type_url + url - n, name) != 0)
		return false;
	return url == n || any->type_url[url - n - 1] == '/';
}

void shim_timestamp(int64_t ns, Hull__Containerd__Timestamp *ret)
{
	hull__containerd__timestamp__init(ret);
	ret->seconds = ns / NS_PER_S;
	ret->nanos = (int32_t)(ns % NS_PER_S);
}

int64_t shim_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}
