/* SPDX-License-Identifier: Apache-2.0 */
/* How fast it goes: prints, and asserts only that all arrives. HULL_TEST_MIB sets the amount. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/process.h"
#include "rpc_fixture.h"

#define CHUNK 32768

static uint64_t amount(void)
{
	const char *mib = getenv("HULL_TEST_MIB");
	return (mib ? strtoull(mib, NULL, 10) : 64) << 20;
}

/* As the stdio layer paces itself: a window of bytes, refilled when the queue is empty. */
static void test_stream(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	struct fx_stream s = { 0 };
	Hull__Agent__V1__StdioFrame frame = HULL__AGENT__V1__STDIO_FRAME__INIT;
	uint64_t total = amount(), sent = 0;

	frame.data.len = CHUNK;
	frame.data.data = hull_calloc(1, CHUNK);
	fx_open(fx, "Chat", &s);
	fx_until(fx, &fx->handled, 1);
	int64_t start = hull_now_ms();
	while (fx->accepted.bytes < total) {
		while (sent < total && hull_rpc_stream_backlog(s.stream) < 8 * CHUNK) {
			assert_int_equal(hull_rpc_stream_send(s.stream, &frame.base), 0);
			sent += CHUNK;
		}
		uv_run(&fx->loop, UV_RUN_NOWAIT);
	}
	int64_t ms = hull_now_ms() - start;
	print_message("stream: %.0f MB in %lld ms: %.0f MB/s\n", (double)total / 1e6, (long long)ms,
		      (double)total / 1e3 / (double)(ms ? ms : 1));
	hull_rpc_stream_free(s.stream);
	free(frame.data.data);
	fx_free(fx);
}

static void test_calls(void **state)
{
	struct fx *fx = fx_new(NULL, NULL);
	int n = (int)(amount() >> 13);

	int64_t start = hull_now_ms();
	for (int i = 0; i < n; i++) {
		struct fx_reply reply = { 0 };
		fx_call(fx, "Echo", "web", 5000, &reply);
		while (!reply.n)
			uv_run(&fx->loop, UV_RUN_ONCE);
		assert_int_equal(reply.code, HULL_RPC_OK);
	}
	int64_t ms = hull_now_ms() - start;
	print_message("calls: %d, %.1f us each\n", n, (double)ms * 1e3 / n);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
