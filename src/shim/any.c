/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/any.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"

#define NS_PER_S INT64_C(1000000000)

uint8_t *shim_pack(const ProtobufCMessage *message, size_t *ret_len)
{
	*ret_len = protobuf_c_message_get_packed_size(message);
	uint8_t *data = hull_new(uint8_t, *ret_len ? *ret_len : 1);
	protobuf_c_message_pack(message, data);
	return data;
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
